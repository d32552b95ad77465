-- Calls along the chosen edges by period of {period:UInt32} seconds, in the minutes, hours or days {periods} (epoch seconds).
-- An empty name or kind, and a type with its any_…:UInt8 = 1, stand for all.
SELECT
    intDiv(toUnixTimestamp(e.PERIOD), {period:UInt32}) * {period:UInt32} AS time,
    sum(e.ok) AS ok,
    sum(e.error) AS error,
    sum(e.throttle) AS throttle,
    sum(e.fault) AS fault,
    sum(e.total) AS total,
    sum(e.total_time) AS total_time,
    sumMap(e.histogram) AS histogram
FROM edges_LEVEL AS e
WHERE e.PERIOD IN {periods:Array(DateTime('UTC'))}
  AND (e.PERIOD, e.version) IN (
      SELECT PERIOD, max(version)
      FROM edges_LEVEL
      WHERE PERIOD IN {periods:Array(DateTime('UTC'))}
      GROUP BY PERIOD
  )
  AND source_name != ''
  AND ({source_name:String} = '' OR source_name = {source_name:String})
  AND ({any_source_type:UInt8} OR source_type = {source_type:String})
  AND ({target_name:String} = '' OR target_name = {target_name:String})
  AND ({any_target_type:UInt8} OR target_type = {target_type:String})
  AND ({kind:String} = '' OR kind = {kind:String})
GROUP BY time
