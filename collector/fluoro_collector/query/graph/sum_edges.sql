-- Edges of the next level, one row per period of {size:UInt32} seconds, environment and key, for the {periods:Array(UInt32)}
-- (epoch seconds) in [{first:UInt32}, {last:UInt32}): only rows of the newest version count.
SELECT
    intDiv(toUnixTimestamp(e.PERIOD), {size:UInt32}) * {size:UInt32} AS period,
    e.environment AS environment,
    e.source_name AS source_name,
    e.source_type AS source_type,
    e.target_name AS target_name,
    e.target_type AS target_type,
    e.kind AS kind,
    min(e.FIRST_MINUTE) AS first_minute,
    sum(e.ok) AS ok,
    sum(e.error) AS error,
    sum(e.throttle) AS throttle,
    sum(e.fault) AS fault,
    sum(e.total) AS total,
    sum(e.total_time) AS total_time,
    sumMap(e.histogram) AS histogram
FROM edges_LEVEL AS e
WHERE e.PERIOD >= toDateTime({first:UInt32}, 'UTC')
  AND e.PERIOD < toDateTime({last:UInt32}, 'UTC')
  AND (e.PERIOD, e.version) IN (
      SELECT PERIOD, max(version)
      FROM edges_LEVEL
      WHERE PERIOD >= toDateTime({first:UInt32}, 'UTC')
        AND PERIOD < toDateTime({last:UInt32}, 'UTC')
      GROUP BY PERIOD
  )
  AND e.source_name != ''
GROUP BY period, environment, source_name, source_type, target_name, target_type, kind
HAVING period IN {periods:Array(UInt32)}
