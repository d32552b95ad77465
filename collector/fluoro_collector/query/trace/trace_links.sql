-- Rows with links of the traces {ids:Array(FixedString(16))}, which have segments in [{from:Int64}, {until:Int64}) (epoch ns).
-- `links` is a JSON array of fluoro.model.Link; at most {most:UInt32} rows of one trace.
SELECT trace_id, toString(service) AS service, links
FROM segments
WHERE start >= fromUnixTimestamp64Nano({from:Int64})
  AND start < fromUnixTimestamp64Nano({until:Int64}) + INTERVAL 1 HOUR
  AND trace_id IN {ids:Array(FixedString(16))}
  AND links != ''
ORDER BY trace_id, start, id
LIMIT {most:UInt32} BY trace_id
