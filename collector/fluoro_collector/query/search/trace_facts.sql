-- What summaries of the traces {ids:Array(FixedString(16))} say besides the columns of `traces`, one row per distinct fact,
-- from de-duplicated rows in [{from:Int64}, {until:Int64}) (epoch ns); `service` and `resource_id` are of the row that says it:
-- ('text' | 'number', key, value), ('user', user, ''), ('arn', ARN, ''), ('entry', origin, '') of a segment.
SELECT DISTINCT trace_id, service, resource_id, fact.1 AS kind, fact.2 AS name, fact.3 AS value
FROM
(
    SELECT
        trace_id,
        toString(service) AS service,
        resource_id,
        arrayJoin(arrayConcat(
            if(subsegment, [], [('entry', toString(origin), '')]),
            if(user = '', [], [('user', user, '')]),
            if(position(other, '"resource_arn"') = 0, [], [('arn', JSONExtractString(other, 'resource_arn'), '')]),
            arrayMap((key, text) -> ('text', toString(key), text), mapKeys(annotations), mapValues(annotations)),
            arrayMap((key, number) -> ('number', toString(key), toString(number)), mapKeys(numbers), mapValues(numbers))
        )) AS fact
    FROM
    (
        SELECT trace_id, id, subsegment, service, origin, user, annotations, numbers, other, resource_id
        FROM segments
        WHERE start >= fromUnixTimestamp64Nano({from:Int64})
          AND start < fromUnixTimestamp64Nano({until:Int64})
          AND trace_id IN {ids:Array(FixedString(16))}
        ORDER BY trace_id, id, in_progress, received DESC, duration DESC
        LIMIT 1 BY trace_id, id
    )
)
ORDER BY trace_id, kind, name, value, service
LIMIT {most:UInt32} BY trace_id
