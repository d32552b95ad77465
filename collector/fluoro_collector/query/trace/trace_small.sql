-- Whole rows of one trace in [{from:UInt32}, {until:UInt32}) (epoch seconds), copies included; more than {most:UInt32} are
-- not asked for: then the trace is not small, and is read by its outline.
SELECT COLUMNS_TO_READ
FROM segments
WHERE trace_id = {trace_id:FixedString(16)}
  AND start >= toDateTime64({from:UInt32}, 0, 'UTC')
  AND start < toDateTime64({until:UInt32}, 0, 'UTC')
LIMIT {most:UInt32}
