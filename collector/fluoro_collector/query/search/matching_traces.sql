-- Traces that began in [{from:Int64}, {until:Int64}) (epoch ns) and match (matching.py), a subquery of other statements.
SELECT COLUMNS
FROM TRACES AS t
WHERE began >= fromUnixTimestamp64Nano({from:Int64})
  AND began < fromUnixTimestamp64Nano({until:Int64})
  AND CONDITION
