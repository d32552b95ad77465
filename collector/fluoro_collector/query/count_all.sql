-- How many traces began in [{from:Int64}, {until:Int64}) (epoch ns). Copies of a row have one start, so none is removed.
SELECT count() AS count
FROM
(
    SELECT trace_id
    FROM segments
    WHERE start >= fromUnixTimestamp64Nano({from:Int64}) - INTERVAL 1 HOUR
      AND start < fromUnixTimestamp64Nano({until:Int64})
    GROUP BY trace_id
    HAVING toUnixTimestamp64Nano(min(start)) >= {from:Int64}
)
