-- How many rows each of {minutes:Array(UInt32)} has: sizes the rollup's statements.
SELECT toUnixTimestamp(toStartOfMinute(start)) AS minute, count() AS rows
FROM segments
WHERE start >= toDateTime({first:UInt32}, 'UTC')
  AND start < toDateTime64({last:UInt32}, 0, 'UTC')
  AND minute IN {minutes:Array(UInt32)}
GROUP BY minute
