-- Minutes of all rows of the traces that got rows in {minutes} since {since:Int64} (epoch ms): a new row can change the
-- edges of every other row of its trace.
SELECT DISTINCT toUnixTimestamp(toStartOfMinute(start)) AS minute
FROM segments
WHERE start >= toDateTime({first:UInt32}, 'UTC') - INTERVAL 1 HOUR
  AND start < toDateTime64({last:UInt32}, 0, 'UTC') + INTERVAL 1 HOUR
  AND trace_id IN (
      SELECT trace_id
      FROM segments
      WHERE start >= toDateTime({first:UInt32}, 'UTC')
        AND start < toDateTime64({last:UInt32}, 0, 'UTC')
        AND toUnixTimestamp(toStartOfMinute(start)) IN {minutes:Array(UInt32)}
        AND received >= fromUnixTimestamp64Milli({since:Int64})
  )
