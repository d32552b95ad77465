-- How many rows each of {ids:Array(FixedString(16))} has in [{from:UInt32}, {until:UInt32}) (epoch seconds), and in which
-- minutes: sizes the statements that look at whole traces. `orphans`: some parent is not among these rows.
SELECT
    trace_id,
    count() AS rows,
    groupUniqArray(toUnixTimestamp(toStartOfMinute(start))) AS minutes,
    NOT hasAll(groupArray(id), groupArrayIf(parent_id, parent_id != 0)) AS orphans
FROM segments
WHERE start >= toDateTime({from:UInt32}, 'UTC')
  AND start < toDateTime64({until:UInt32}, 0, 'UTC')
  AND trace_id IN {ids:Array(FixedString(16))}
GROUP BY trace_id
