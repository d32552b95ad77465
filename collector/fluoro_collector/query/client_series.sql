-- Requests of one client (or all, when {name:String} is empty) by period of {period:UInt32} seconds, from rolled-up minutes.
SELECT
    intDiv(toUnixTimestamp(r.minute), {period:UInt32}) * {period:UInt32} AS time,
    sum(r.ok) AS ok,
    sum(r.error) AS error,
    sum(r.throttle) AS throttle,
    sum(r.fault) AS fault,
    sum(r.total) AS total,
    sum(r.total_time) AS total_time,
    sumMap(r.histogram) AS histogram
FROM edges_1m AS r
WHERE r.minute >= toDateTime({first:UInt32}, 'UTC')
  AND r.minute < toDateTime({last:UInt32}, 'UTC')
  AND toUnixTimestamp(r.minute) NOT IN {dirty:Array(UInt32)}
  AND (r.minute, r.version) IN (
      SELECT minute, max(version)
      FROM edges_1m
      WHERE minute >= toDateTime({first:UInt32}, 'UTC')
        AND minute < toDateTime({last:UInt32}, 'UTC')
      GROUP BY minute
  )
  AND source_type = {type:String} AND source_name != '' AND ({name:String} = '' OR source_name = {name:String})
GROUP BY time
