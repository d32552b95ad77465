-- What the table `traces` says of each trace that began in {minutes:Array(UInt32)} (epoch seconds), but for its nodes and
-- edges, from de-duplicated segments. {first:UInt32} is the first of the minutes, {last:UInt32} the end of the last,
-- {ids:Array(FixedString(16))} only these traces; empty = all.
--
-- The root: no parent before some parent, segment before subsegment, then the earliest (2 ns are one), then the
-- smallest id.
WITH
deduplicated AS
(
    SELECT
        trace_id,
        id,
        toUnixTimestamp64Nano(start) AS began_ns,
        bitShiftLeft(toUInt128(
            bitShiftLeft(toUInt64(parent_id != 0), 63) + bitShiftLeft(toUInt64(subsegment), 62) + intDiv(toUInt64(began_ns), 2)
        ), 64) + id AS place,
        duration,
        in_progress,
        service,
        origin,
        environment,
        operation,
        http_method,
        http_url,
        http_status,
        http_user_agent,
        http_client_ip,
        error,
        throttle,
        fault,
        user
    FROM segments
    WHERE start >= toDateTime({first:UInt32}, 'UTC') - INTERVAL 1 HOUR
      AND start < toDateTime64({last:UInt32}, 0, 'UTC') + INTERVAL 1 HOUR
      AND trace_id IN (
          SELECT trace_id
          FROM segments
          WHERE start >= toDateTime({first:UInt32}, 'UTC')
            AND start < toDateTime64({last:UInt32}, 0, 'UTC')
            AND toUnixTimestamp(toStartOfMinute(start)) IN {minutes:Array(UInt32)}
      )
      AND (empty({ids:Array(FixedString(16))}) OR trace_id IN {ids:Array(FixedString(16))})
    ORDER BY trace_id, id, in_progress, received DESC, duration DESC
    LIMIT 1 BY trace_id, id
)
SELECT
    fromUnixTimestamp64Nano(min(d.began_ns), 'UTC') AS began,
    toStartOfMinute(toDateTime(began, 'UTC')) AS minute,
    d.trace_id AS trace_id,
    toUInt64(max(d.began_ns + toInt64(d.duration)) - min(d.began_ns)) AS lasted,
    argMin(d.service, d.place) AS service,
    argMin(d.origin, d.place) AS origin,
    argMin(d.environment, d.place) AS environment,
    argMin(d.operation, d.place) AS operation,
    argMin(d.http_method, d.place) AS http_method,
    argMin(d.http_url, d.place) AS http_url,
    argMin(d.http_status, d.place) AS http_status,
    argMin(d.http_user_agent, d.place) AS http_user_agent,
    argMin(d.http_client_ip, d.place) AS http_client_ip,
    argMin(d.duration, d.place) AS response_time,
    argMin(d.in_progress, d.place) AS root_in_progress,
    argMin(d.error, d.place) AS error,
    argMin(d.throttle, d.place) AS throttle,
    argMin(d.fault, d.place) AS fault,
    max(d.error) AS any_error,
    max(d.throttle) AS any_throttle,
    max(d.fault) AS any_fault,
    max(d.in_progress) AS partial,
    arrayDistinct(arrayMap(use -> use.2, arraySort(groupArrayIf((d.place, d.user), d.user != '')))) AS users,
    toUInt32(count()) AS segments,
    arrayDistinct(arrayMap(row -> row.2, arraySort(groupArrayIf((d.began_ns, d.service), d.service != '')))) AS services
FROM deduplicated AS d
GROUP BY d.trace_id
HAVING toUnixTimestamp(minute) IN {minutes:Array(UInt32)}
