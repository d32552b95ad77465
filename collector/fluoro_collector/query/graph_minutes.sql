-- Nodes and edges of the service map, one row per minute, environment and key, from de-duplicated segments.
--
-- Whole traces decide (a callee may be in another minute than its call): the traces touched in {minutes}, read in
-- [{first} - 1 h, {last} + 1 h). A trace is one pair of arrays, and a lookup inside it is a sort: definitions (tag 0)
-- come before uses (tag 1) of the same id, and arrayFill hands the definition on. Memory stays linear in the trace;
-- arrayMap with indexOf copies the whole array for every element (measured: 12 GB for one trace of 40,000 spans).
--
-- A trace arrives in pieces. Until a row is settled, what only a missing piece would tell is left open: a call without an
-- answer is not an inferred node yet, and a request without its caller has no client yet.
--
-- {minutes:Array(UInt32)} epoch seconds of the minutes wanted, {first:UInt32} the first, {last:UInt32} the end of the last,
-- {ids:Array(FixedString(16))} only these traces; empty = all
-- {settled:Int64} epoch ms: rows received until then are settled
WITH
deduplicated AS
(
    SELECT
        trace_id,
        id,
        parent_id,
        toUnixTimestamp(toStartOfMinute(start)) AS minute,
        duration,
        in_progress,
        multiIf(fault, 3, throttle, 2, error, 1, 0) AS outcome,
        -- 0 internal work, 1 segment, 2 segment that took a message, 3 call
        multiIf(NOT subsegment, if(kind = 4, 2, 1), namespace != '', 3, 0) AS role,
        environment,
        service,
        origin,
        peer_name,
        peer_type,
        toUnixTimestamp64Milli(received) > {settled:Int64} AS young
    FROM segments
    WHERE start >= toDateTime({first:UInt32}, 'UTC') - INTERVAL 1 HOUR
      AND start < toDateTime({last:UInt32}, 'UTC') + INTERVAL 1 HOUR
      AND trace_id IN (
          SELECT trace_id
          FROM segments
          WHERE start >= toDateTime({first:UInt32}, 'UTC')
            AND start < toDateTime({last:UInt32}, 'UTC')
            AND toUnixTimestamp(toStartOfMinute(start)) IN {minutes:Array(UInt32)}
      )
      AND (empty({ids:Array(FixedString(16))}) OR trace_id IN {ids:Array(FixedString(16))})
    ORDER BY trace_id, id, in_progress, received DESC, duration DESC
    LIMIT 1 BY trace_id, id
),
traces AS
(
    SELECT
        trace_id,
        -- Pointer jumping: every row points at its parent, a segment at itself; each step doubles the reach. A cycle
        -- never arrives at a segment and so finds no owner. (arrayMap over one element only gives `ordered` its name.)
        arrayFold(
            (pointers, step) -> arrayMap(
                ordered -> arraySort(arrayFilter(
                    pointer -> pointer.1 != 0,
                    arrayMap(
                        (entry, last) -> (if(entry.2 = 1, entry.3, 0), if(last.1 = entry.1, last.4, 0)),
                        ordered,
                        arrayFill(entry -> entry.2 = 0, ordered)
                    )
                )),
                [arraySort(arrayConcat(
                    arrayMap(pointer -> (pointer.1, 0, pointer.1, pointer.2), pointers),
                    arrayMap(pointer -> (pointer.2, 1, pointer.1, toUInt64(0)), pointers)
                ))]
            )[1],
            range(toUInt8(ceil(log2(1 + countIf(role IN (0, 3)))))),
            groupArray((id, if(role IN (1, 2), id, parent_id)))
        ) AS ancestors,
        -- (id, name, origin) of the nearest segment above each row, in the order of ids; ('', '') when there is none.
        arraySort(arrayConcat(
            groupArrayIf((id, 0, id, toString(service), toString(origin)), role IN (1, 2)),
            arrayMap(pointer -> (pointer.2, 1, pointer.1, '', ''), ancestors)
        )) AS entries,
        arraySort(arrayFilter(owner -> owner.1 != 0, arrayMap(
            (entry, last) -> (
                if(entry.2 = 1, entry.3, 0),
                if(last.1 = entry.1, last.4, ''),
                if(last.1 = entry.1, last.5, '')
            ),
            entries,
            arrayFill(entry -> entry.2 = 0, entries)
        ))) AS owners,
        groupArray((
            id, parent_id, minute, duration, in_progress, outcome, role,
            environment, service, origin, peer_name, peer_type, young
        )) AS fields
    FROM deduplicated
    GROUP BY trace_id
),
members AS
(
    SELECT
        trace_id,
        fields.1 AS id,
        fields.2 AS parent_id,
        fields.7 AS role,
        -- The caller's node: the segment above, unless the row names another service than that segment.
        owners.2 != '' AND (fields.9 = '' OR fields.9 = owners.2) AS owned,
        (fields.3, fields.4, fields.5, fields.6, fields.8) AS figures,
        (if(owned, owners.2, toString(fields.9)), if(owned, owners.3, toString(fields.10))) AS owner,
        (toString(fields.9), toString(fields.10)) AS node,
        (toString(fields.11), toString(fields.12)) AS peer,
        fields.13 AS young
    FROM traces
    ARRAY JOIN fields, owners
),
-- One group per id: the row that has it, and the segments whose parent it is.
families AS
(
    SELECT
        trace_id,
        link.1 AS key,
        countIf(link.2) > 0 AS present,
        anyIf(role, link.2) AS parent_role,
        anyIf(figures, link.2) AS parent_figures,
        anyIf(owner, link.2) AS parent_owner,
        anyIf(peer, link.2) AS parent_peer,
        anyIf(young, link.2) AS parent_young,
        groupArrayIf((figures, node, peer, role = 2, young), NOT link.2) AS children,
        arrayDistinct(arrayMap(child -> child.2, arrayFilter(child -> NOT child.4, children))) AS answering,
        arrayExists(child -> child.4, children) AS queued
    FROM members
    ARRAY JOIN if(role IN (1, 2), [(id, true), (parent_id, false)], [(id, true)]) AS link
    GROUP BY trace_id, key
),
observations AS
(
    SELECT arrayJoin(arrayConcat(
        -- A segment is a request of its own node.
        arrayMap(
            child -> ('node', child.1, ('', ''), child.2, false, NOT present AND NOT child.5 AND NOT (child.4 AND child.3.1 != '')),
            children
        ),
        -- A call that no segment answers is a request of an inferred node; a queue stays when a consumer took the message.
        if(
            present AND parent_role = 3 AND parent_peer.1 != '' AND (queued OR (empty(answering) AND NOT parent_young)),
            [
                ('node', parent_figures, ('', ''), parent_peer, true, false),
                ('sync', parent_figures, parent_owner, parent_peer, false, false)
            ],
            []
        ),
        -- A call that is answered: an edge with the caller's figures.
        if(
            present AND parent_role = 3,
            arrayMap(target -> ('sync', parent_figures, parent_owner, target, false, false), answering),
            []
        ),
        -- Edges that only the callee can tell: from the client, from a queue, from a parent that is no call.
        arrayFilter(edge -> edge.3 != edge.4, arrayMap(
            child -> (
                if(child.4 AND (present OR child.3.1 != ''), 'link', 'sync'),
                child.1,
                multiIf(
                    child.4 AND child.3.1 != '', child.3,
                    NOT present, (child.2.1, 'client'),
                    child.4 AND parent_role = 3 AND parent_peer.1 != '', parent_peer,
                    parent_owner
                ),
                child.2,
                false,
                false
            ),
            arrayFilter(
                child -> if(present, parent_role != 3 OR child.4, NOT child.5 OR (child.4 AND child.3.1 != '')),
                children
            )
        ))
    )) AS observation
    FROM families
)
SELECT
    observation.1 AS relation,
    observation.2.1 AS minute,
    observation.2.5 AS environment,
    observation.3.1 AS source_name,
    observation.3.2 AS source_type,
    observation.4.1 AS target_name,
    observation.4.2 AS target_type,
    min(observation.5) AS inferred,
    max(observation.6) AS root,
    countIf(observation.2.4 = 0) AS ok,
    countIf(observation.2.4 = 1) AS error,
    countIf(observation.2.4 = 2) AS throttle,
    countIf(observation.2.4 = 3) AS fault,
    count() AS total,
    sum(observation.2.2) AS total_time,
    minIf(observation.2.2, NOT observation.2.3) AS min_time,
    maxIf(observation.2.2, NOT observation.2.3) AS max_time,
    sumMapIf(map(toUInt8(least(greatest(floor(log2(observation.2.2) * 4) - 40, 0), 127)), toUInt64(1)), NOT observation.2.3) AS histogram
FROM observations
WHERE minute IN {minutes:Array(UInt32)}
  AND (relation = 'node' OR source_name != '')
GROUP BY relation, minute, environment, source_name, source_type, target_name, target_type
