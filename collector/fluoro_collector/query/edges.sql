-- Edges of the service map in a range, from rolled-up minutes: only rows of a minute's newest version count.
SELECT
    source_name,
    source_type,
    target_name,
    target_type,
    kind AS relation,
    sum(e.ok) AS ok,
    sum(e.error) AS error,
    sum(e.throttle) AS throttle,
    sum(e.fault) AS fault,
    sum(e.total) AS total,
    sum(e.total_time) AS total_time,
    sumMap(e.histogram) AS histogram,
    min(toUnixTimestamp(e.minute)) AS first_minute
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
  AND source_name != ''
GROUP BY source_name, source_type, target_name, target_type, relation
