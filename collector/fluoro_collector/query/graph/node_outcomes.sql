-- Requests of every node by period of {period:UInt32} seconds and by outcome, from rolled-up minutes; of each period the
-- {most:UInt32} nodes with the most requests.
SELECT
    intDiv(toUnixTimestamp(n.minute), {period:UInt32}) * {period:UInt32} AS time,
    n.name AS name,
    n.type AS type,
    sum(n.ok) AS ok,
    sum(n.error) AS error,
    sum(n.throttle) AS throttle,
    sum(n.fault) AS fault,
    ok + error + throttle + fault AS requests
FROM nodes_1m AS n
WHERE n.minute >= toDateTime({first:UInt32}, 'UTC')
  AND n.minute < toDateTime({last:UInt32}, 'UTC')
  AND toUnixTimestamp(n.minute) NOT IN {dirty:Array(UInt32)}
  AND (n.minute, n.version) IN (
      SELECT minute, max(version)
      FROM nodes_1m
      WHERE minute >= toDateTime({first:UInt32}, 'UTC')
        AND minute < toDateTime({last:UInt32}, 'UTC')
      GROUP BY minute
  )
  AND n.name != ''
GROUP BY time, name, type
ORDER BY time, requests DESC, name, type
LIMIT {most:UInt32} BY time
