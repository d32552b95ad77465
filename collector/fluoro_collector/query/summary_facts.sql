-- What the traces {ids:Array(FixedString(16))} hold besides their summaries, one row per distinct fact:
-- ('node', name, type), ('text' | 'number', key, value, service), ('user', user, '', service).
WITH members AS
(
    SELECT trace_id, id, parent_id, kind, subsegment, namespace, service, origin, peer_name, peer_type, user, annotations, numbers
    FROM segments
    WHERE start >= fromUnixTimestamp64Nano({from:Int64})
      AND start < fromUnixTimestamp64Nano({until:Int64})
      AND trace_id IN {ids:Array(FixedString(16))}
)
SELECT DISTINCT trace_id, fact.1 AS kind, fact.2 AS name, fact.3 AS value, fact.4 AS service
FROM
(
    SELECT
        trace_id,
        arrayJoin(arrayConcat(
            if(NOT subsegment, [('node', toString(service), toString(origin), '')], []),
            if(user != '', [('user', user, '', toString(service))], []),
            arrayMap((key, text) -> ('text', toString(key), text, toString(service)), mapKeys(annotations), mapValues(annotations)),
            arrayMap((key, number) -> ('number', toString(key), toString(number), toString(service)), mapKeys(numbers), mapValues(numbers))
        )) AS fact
    FROM members
    UNION ALL
    SELECT trace_id, ('node', toString(peer_name), toString(peer_type), '') AS fact
    FROM members
    WHERE subsegment AND namespace != '' AND peer_name != ''
      AND (trace_id, id) NOT IN (SELECT trace_id, parent_id FROM members WHERE NOT subsegment AND kind != 4)
)
ORDER BY trace_id, kind, name, value, service
