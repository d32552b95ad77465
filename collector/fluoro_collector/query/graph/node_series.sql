-- Requests of one node by period of {period:UInt32} seconds, in the minutes, hours or days {periods} (epoch seconds).
-- {any_type:UInt8} 1 = nodes of this name whatever their type.
SELECT
    intDiv(toUnixTimestamp(n.PERIOD), {period:UInt32}) * {period:UInt32} AS time,
    sum(n.ok) AS ok,
    sum(n.error) AS error,
    sum(n.throttle) AS throttle,
    sum(n.fault) AS fault,
    sum(n.total) AS total,
    sum(n.total_time) AS total_time,
    sumMap(n.histogram) AS histogram
FROM nodes_LEVEL AS n
WHERE n.PERIOD IN {periods:Array(DateTime('UTC'))}
  AND (n.PERIOD, n.version) IN (
      SELECT PERIOD, max(version)
      FROM nodes_LEVEL
      WHERE PERIOD IN {periods:Array(DateTime('UTC'))}
      GROUP BY PERIOD
  )
  AND name = {name:String} AND ({any_type:UInt8} OR type = {type:String})
GROUP BY time
