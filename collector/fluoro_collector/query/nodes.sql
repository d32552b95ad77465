-- Nodes of the service map in a range, from rolled-up minutes: only rows of a minute's newest version count.
SELECT
    name,
    type,
    min(inferred) AS inferred,
    max(root) AS root,
    sum(n.ok) AS ok,
    sum(n.error) AS error,
    sum(n.throttle) AS throttle,
    sum(n.fault) AS fault,
    sum(n.total) AS total,
    sum(n.total_time) AS total_time,
    sumMap(n.histogram) AS histogram,
    min(toUnixTimestamp(n.minute)) AS first_minute
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
  AND name != ''
GROUP BY name, type
