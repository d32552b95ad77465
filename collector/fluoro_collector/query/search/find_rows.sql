-- Rows of [{from:Int64}, {reach:Int64}) (epoch ns) that meet a condition which an index answers; copies are among them.
-- Always one row: an empty answer costs a second statement.
SELECT groupArray(r.trace_id) AS ids, groupArray(r.start_ns) AS starts
FROM
(
    SELECT trace_id, toUnixTimestamp64Nano(start) AS start_ns
    FROM segments
    WHERE start >= fromUnixTimestamp64Nano({from:Int64})
      AND start < fromUnixTimestamp64Nano({reach:Int64})
      AND CONDITION
    LIMIT {limit:UInt32}
) AS r
