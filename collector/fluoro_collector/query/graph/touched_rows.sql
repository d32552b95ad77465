-- CHOSEN in observations.sql: rows of the traces touched in {minutes:Array(UInt32)} (epoch seconds), of which {first:UInt32} is
-- the first and {last:UInt32} the end of the last; {ids:Array(FixedString(16))} only these traces; empty = all.
start >= toDateTime({first:UInt32}, 'UTC') - INTERVAL 1 HOUR
  AND start < toDateTime64({last:UInt32}, 0, 'UTC') + INTERVAL 1 HOUR
  AND trace_id IN (
      SELECT trace_id
      FROM segments
      WHERE start >= toDateTime({first:UInt32}, 'UTC')
        AND start < toDateTime64({last:UInt32}, 0, 'UTC')
        AND toUnixTimestamp(toStartOfMinute(start)) IN {minutes:Array(UInt32)}
  )
  AND (empty({ids:Array(FixedString(16))}) OR trace_id IN {ids:Array(FixedString(16))})
