-- Nodes of the service map in the minutes, hours or days {periods} (epoch seconds): only rows of the newest version count.
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
    toUnixTimestamp(min(n.FIRST_MINUTE)) AS first_minute
FROM nodes_LEVEL AS n
WHERE n.PERIOD IN {periods:Array(DateTime('UTC'))}
  AND (n.PERIOD, n.version) IN (
      SELECT PERIOD, max(version)
      FROM nodes_LEVEL
      WHERE PERIOD IN {periods:Array(DateTime('UTC'))}
      GROUP BY PERIOD
  )
  AND name != ''
GROUP BY name, type
