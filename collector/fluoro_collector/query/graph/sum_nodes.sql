-- Nodes of the next level, one row per period of {size:UInt32} seconds, environment and key, for the {periods:Array(UInt32)}
-- (epoch seconds) in [{first:UInt32}, {last:UInt32}): only rows of the newest version count.
SELECT
    intDiv(toUnixTimestamp(n.PERIOD), {size:UInt32}) * {size:UInt32} AS period,
    n.environment AS environment,
    n.name AS name,
    n.type AS type,
    min(n.FIRST_MINUTE) AS first_minute,
    min(n.inferred) AS inferred,
    max(n.root) AS root,
    sum(n.ok) AS ok,
    sum(n.error) AS error,
    sum(n.throttle) AS throttle,
    sum(n.fault) AS fault,
    sum(n.total) AS total,
    sum(n.total_time) AS total_time,
    sumMap(n.histogram) AS histogram
FROM nodes_LEVEL AS n
WHERE n.PERIOD >= toDateTime({first:UInt32}, 'UTC')
  AND n.PERIOD < toDateTime({last:UInt32}, 'UTC')
  AND (n.PERIOD, n.version) IN (
      SELECT PERIOD, max(version)
      FROM nodes_LEVEL
      WHERE PERIOD >= toDateTime({first:UInt32}, 'UTC')
        AND PERIOD < toDateTime({last:UInt32}, 'UTC')
      GROUP BY PERIOD
  )
  AND n.name != ''
GROUP BY period, environment, name, type
HAVING period IN {periods:Array(UInt32)}
