-- One row per trace of {ids:Array(FixedString(16))}, from its de-duplicated rows in [{from:Int64}, {until:Int64}) (epoch ns).
-- The root: no parent before some parent, segment before subsegment, then the earliest (filter/compile.py, ROOT_ORDER).
WITH members AS
(
    SELECT
        *,
        bitShiftLeft(toUInt64(parent_id != 0), 63) + bitShiftLeft(toUInt64(subsegment), 62)
            + intDiv(toUInt64(toUnixTimestamp64Nano(start)), 2) AS root_order
    FROM segments
    WHERE start >= fromUnixTimestamp64Nano({from:Int64})
      AND start < fromUnixTimestamp64Nano({until:Int64})
      AND trace_id IN {ids:Array(FixedString(16))}
    ORDER BY trace_id, id, in_progress, received DESC, duration DESC
    LIMIT 1 BY trace_id, id
)
SELECT
    trace_id,
    toUnixTimestamp64Nano(min(m.start)) AS began,
    max(toUnixTimestamp64Nano(m.start) + toInt64(m.duration)) - began AS lasted,
    argMin(m.duration, root_order) AS root_duration,
    argMin(m.service, root_order) AS root_service,
    argMin(m.origin, root_order) AS root_origin,
    argMin(m.operation, root_order) AS root_operation,
    argMin(m.http_method, root_order) AS root_method,
    argMin(m.http_url, root_order) AS root_url,
    argMin(m.http_status, root_order) AS root_status,
    argMin(m.http_user_agent, root_order) AS root_user_agent,
    argMin(m.http_client_ip, root_order) AS root_client_ip,
    argMin(m.error, root_order) AS root_error,
    argMin(m.throttle, root_order) AS root_throttle,
    argMin(m.fault, root_order) AS root_fault,
    max(m.throttle) AS any_throttle,
    max(m.in_progress) AS partial,
    argMin(m.user, (m.user = '', root_order)) AS first_user,
    count() AS rows,
    minMap(map(m.service, toUnixTimestamp64Nano(m.start))) AS services
FROM members AS m
GROUP BY trace_id
