-- What root causes are computed from: the de-duplicated rows of the traces {ids:Array(FixedString(16))} in
-- [{from:Int64}, {until:Int64}) (epoch ns). Of a cause only the types and messages of exceptions are read, without their
-- stacks, and only on rows that failed.
SELECT
    trace_id, id, parent_id, from_ns, until_ns, subsegment, answers, called, service, name, origin,
    peer_name, peer_type, error, fault, resource_id,
    if(cause = '', [], arrayMap(
        exception -> (
            substringUTF8(JSONExtractString(exception, 2), 1, 200),
            substringUTF8(JSONExtractString(exception, 3), 1, 1000)
        ),
        arraySlice(JSONExtractArrayRaw(cause, 1), 1, 10)
    )) AS exceptions
FROM
(
    SELECT
        trace_id,
        id,
        parent_id,
        toUnixTimestamp64Nano(start) AS from_ns,
        if(in_progress, 0, from_ns + toInt64(duration)) AS until_ns,
        subsegment,
        NOT subsegment AND kind != 4 AS answers,
        subsegment AND namespace != '' AS called,
        service,
        name,
        origin,
        peer_name,
        peer_type,
        error OR throttle AS error,
        fault,
        resource_id,
        if(error OR fault, cause, '') AS cause
    FROM segments
    WHERE start >= fromUnixTimestamp64Nano({from:Int64})
      AND start < fromUnixTimestamp64Nano({until:Int64})
      AND trace_id IN {ids:Array(FixedString(16))}
    ORDER BY trace_id, id, in_progress, received DESC, duration DESC
    LIMIT 1 BY trace_id, id
)
ORDER BY trace_id
