-- The whole rows {ids:Array(UInt64)} of one trace, de-duplicated, which began in [{from:Int64}, {until:Int64}] (epoch ns).
SELECT COLUMNS_TO_READ
FROM segments
WHERE trace_id = {trace_id:FixedString(16)}
  AND start >= fromUnixTimestamp64Nano({from:Int64})
  AND start <= fromUnixTimestamp64Nano({until:Int64})
  AND id IN {ids:Array(UInt64)}
ORDER BY id, in_progress, received DESC, duration DESC
LIMIT 1 BY id
