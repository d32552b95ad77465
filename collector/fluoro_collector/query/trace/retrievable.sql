-- Those of the traces {ids:Array(FixedString(16))} that have a segment which began in [{from:Int64}, {until:Int64}) (epoch ns).
SELECT DISTINCT trace_id
FROM segments
WHERE start >= fromUnixTimestamp64Nano({from:Int64})
  AND start < fromUnixTimestamp64Nano({until:Int64})
  AND trace_id IN {ids:Array(FixedString(16))}
