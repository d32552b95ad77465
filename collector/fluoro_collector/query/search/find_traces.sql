-- Traces that began in [{from:Int64}, {until:Int64}) (epoch ns), older than the cursor, newest first. TRACES is the relation of
-- trace_rows.py; CONDITION comes from filter/compile.py, WINDOW from search.py.
--
-- Always one row, of arrays: to say the names of an answer without rows the embedded engine plans the statement again.
SELECT GATHERED
FROM
(
    SELECT COLUMNS
    FROM TRACES AS t
    WHERE began >= fromUnixTimestamp64Nano({from:Int64})
      AND began < fromUnixTimestamp64Nano({until:Int64})
      AND (toUnixTimestamp64Nano(began), trace_id) < ({cursor_start:Int64}, {cursor_id:FixedString(16)})
      AND WINDOW
      AND CONDITION
    ORDER BY began DESC, trace_id DESC
    LIMIT {limit:UInt32}
)
