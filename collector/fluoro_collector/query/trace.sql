-- All rows of one trace in [{from:UInt32}, {until:UInt32}) (epoch seconds), de-duplicated, in the order of their start.
SELECT *
FROM
(
    SELECT COLUMNS_TO_READ
    FROM segments
    WHERE trace_id = {trace_id:FixedString(16)}
      AND start >= toDateTime({from:UInt32}, 'UTC')
      AND start < toDateTime({until:UInt32}, 'UTC')
    ORDER BY id, in_progress, received DESC, duration DESC
    LIMIT 1 BY id
)
ORDER BY start, id
