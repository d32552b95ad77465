-- How many traces that began in [{from:Int64}, {until:Int64}) (epoch ns) match; as find_traces.sql.
SELECT count() AS count
FROM TRACES AS t
WHERE began >= fromUnixTimestamp64Nano({from:Int64})
  AND began < fromUnixTimestamp64Nano({until:Int64})
  AND WINDOW
  AND CONDITION
