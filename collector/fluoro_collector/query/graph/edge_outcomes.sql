-- Calls along every edge by period of {period:UInt32} seconds and by outcome, from rolled-up minutes; of each period the
-- {most:UInt32} edges with the most calls.
SELECT
    intDiv(toUnixTimestamp(e.minute), {period:UInt32}) * {period:UInt32} AS time,
    e.source_name AS source_name,
    e.source_type AS source_type,
    e.target_name AS name,
    e.target_type AS type,
    sum(e.ok) AS ok,
    sum(e.error) AS error,
    sum(e.throttle) AS throttle,
    sum(e.fault) AS fault,
    ok + error + throttle + fault AS requests
FROM edges_1m AS e
WHERE e.minute >= toDateTime({first:UInt32}, 'UTC')
  AND e.minute < toDateTime({last:UInt32}, 'UTC')
  AND toUnixTimestamp(e.minute) NOT IN {dirty:Array(UInt32)}
  AND (e.minute, e.version) IN (
      SELECT minute, max(version)
      FROM edges_1m
      WHERE minute >= toDateTime({first:UInt32}, 'UTC')
        AND minute < toDateTime({last:UInt32}, 'UTC')
      GROUP BY minute
  )
  AND e.source_name != ''
GROUP BY time, source_name, source_type, name, type
ORDER BY time, requests DESC, source_name, source_type, name, type
LIMIT {most:UInt32} BY time
