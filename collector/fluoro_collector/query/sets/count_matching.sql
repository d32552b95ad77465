-- How many traces match.
SELECT count() AS count
FROM
(
    MATCHING
)
