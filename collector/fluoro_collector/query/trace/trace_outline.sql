-- What the tree of one trace is made of, without the large columns: its de-duplicated rows in [{from:UInt32}, {until:UInt32})
-- (epoch seconds), by start, at most {most:UInt32}.
SELECT *
FROM
(
    SELECT
        id, parent_id, toUnixTimestamp64Nano(start) AS began, duration, in_progress, kind, subsegment, namespace, service, name,
        operation, peer_name, peer_type, error, throttle, fault, traced, resource_id
    FROM segments
    WHERE trace_id = {trace_id:FixedString(16)}
      AND start >= toDateTime64({from:UInt32}, 0, 'UTC')
      AND start < toDateTime64({until:UInt32}, 0, 'UTC')
    ORDER BY id, in_progress, received DESC, duration DESC
    LIMIT 1 BY id
)
ORDER BY began, id
LIMIT {most:UInt32}
