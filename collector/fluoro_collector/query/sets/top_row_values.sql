-- The {value_limit:UInt32} most frequent values among the rows of matching traces; a trace counts once per value. VALUE of a
-- row (value String, number UInt8) is there where HAS; OF_MATCHING keeps to traces that matter, or is 1.
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
    SELECT v.value AS value, v.number AS number, m.outcome AS outcome, m.bucket AS bucket, count() AS traces
    FROM
    (
        SELECT DISTINCT trace_id, VALUE.1 AS value, VALUE.2 AS number
        FROM
        (
            SELECT trace_id, in_progress, service, version, resource_id, annotations, numbers
            FROM segments
            WHERE start >= fromUnixTimestamp64Nano({from:Int64})
              AND start < fromUnixTimestamp64Nano({reach:Int64})
              AND (trace_id, id) IN (
                  SELECT trace_id, id
                  FROM segments
                  WHERE start >= fromUnixTimestamp64Nano({from:Int64})
                    AND start < fromUnixTimestamp64Nano({reach:Int64})
                    AND HAS
                    AND OF_MATCHING
              )
            ORDER BY trace_id, id, in_progress, received DESC, duration DESC
            LIMIT 1 BY trace_id, id
        )
        WHERE HAS
    ) AS v
    INNER JOIN
    (
        MATCHING
    ) AS m ON m.trace_id = v.trace_id
    GROUP BY value, number, outcome, bucket
) AS t
GROUP BY value, number
ORDER BY traces DESC, value, number
LIMIT {value_limit:UInt32}
