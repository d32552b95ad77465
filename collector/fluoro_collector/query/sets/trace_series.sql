-- Matching traces by period of {period:UInt32} seconds, by the worst flag of the root (0 ok … 3 fault), and by bucket of its
-- response time (store/histogram.py; 255 = not finished).
SELECT intDiv(m.second, {period:UInt32}) * {period:UInt32} AS time, m.outcome AS outcome, m.bucket AS bucket, count() AS traces
FROM
(
    MATCHING
) AS m
GROUP BY time, outcome, bucket
