-- Minutes with rows that came in after the minute was last rolled up, among rows received since {since:Int64} (epoch ms).
-- {margin:Int64} ms: a row gets `received` a little before it is committed.
SELECT toUnixTimestamp(toStartOfMinute(start)) AS minute
FROM segments
LEFT JOIN
(
    SELECT toUnixTimestamp(minute) AS rolled, max(version) AS version
    FROM traces
    GROUP BY rolled
) AS done ON done.rolled = toUnixTimestamp(toStartOfMinute(segments.start))
WHERE received >= fromUnixTimestamp64Milli({since:Int64})
GROUP BY minute
HAVING toUnixTimestamp64Milli(max(received)) + {margin:Int64} >= max(intDiv(done.version, 1000000))
