-- Edges of the service map in the minutes, hours or days {periods} (epoch seconds): only rows of the newest version count.
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
    toUnixTimestamp(min(e.FIRST_MINUTE)) AS first_minute
FROM edges_LEVEL AS e
WHERE e.PERIOD IN {periods:Array(DateTime('UTC'))}
  AND (e.PERIOD, e.version) IN (
      SELECT PERIOD, max(version)
      FROM edges_LEVEL
      WHERE PERIOD IN {periods:Array(DateTime('UTC'))}
      GROUP BY PERIOD
  )
  AND source_name != ''
GROUP BY source_name, source_type, target_name, target_type, relation
