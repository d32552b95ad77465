-- The {value_limit:UInt32} most frequent values of matching traces. MATCHING has `found`: Array(Tuple(value String, number UInt8)),
-- the distinct values of a trace.
SELECT
    value,
    number,
    sum(t.traces) AS traces,
    sumIf(t.traces, t.outcome = 0) AS ok,
    sumIf(t.traces, t.outcome = 1) AS error,
    sumIf(t.traces, t.outcome = 2) AS throttle,
    sumIf(t.traces, t.outcome = 3) AS fault,
    sumMapIf(map(t.bucket, t.traces), t.bucket < 255) AS histogram,
    count() OVER () AS values
FROM
(
    SELECT arrayJoin(m.found) AS pair, pair.1 AS value, pair.2 AS number, m.outcome AS outcome, m.bucket AS bucket, count() AS traces
    FROM
    (
        MATCHING
    ) AS m
    GROUP BY pair, outcome, bucket
) AS t
GROUP BY value, number
ORDER BY traces DESC, value, number
LIMIT {value_limit:UInt32}
