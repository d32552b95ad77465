-- How many traces matching.sql finds.
SELECT count() AS count
FROM
(
    MATCHING
)
