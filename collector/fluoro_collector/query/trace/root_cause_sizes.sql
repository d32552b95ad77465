-- How many rows, copies included, the traces {ids:Array(FixedString(16))} have in [{from:Int64}, {until:Int64}) (epoch ns).
SELECT trace_id, count() AS stored
FROM segments
WHERE start >= fromUnixTimestamp64Nano({from:Int64})
  AND start < fromUnixTimestamp64Nano({until:Int64})
  AND trace_id IN {ids:Array(FixedString(16))}
GROUP BY trace_id
