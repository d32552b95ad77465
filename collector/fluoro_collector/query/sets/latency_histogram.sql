-- Matching traces by bucket of a duration (store/histogram.py) and by the worst flag of the root: 0 ok … 3 fault.
SELECT m.bucket AS bucket, m.outcome AS outcome, count() AS traces
FROM
(
    MATCHING
) AS m
GROUP BY bucket, outcome
