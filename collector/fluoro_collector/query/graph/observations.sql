-- What each trace adds to the service map, one row per request of a node or call along an edge: the common table expressions
-- of graph_minutes.sql and trace_graph.sql. FIGURES, a tuple of five, and CHOSEN, a condition on rows, are filled in:
-- observation_figures.sql and touched_rows.sql for the map, bits and candidates for a filter (filter/observed_requests.py).
--
-- Whole traces decide (a callee may be in another minute than its call): the traces touched in {minutes}, read in
-- [{first} - 1 h, {last} + 1 h). A trace is one pair of arrays, and a lookup inside it is a sort: definitions (tag 0)
-- come before uses (tag 1) of the same id, and arrayFill hands the definition on. Memory stays linear in the trace;
-- arrayMap with indexOf copies the whole array for every element (measured: 12 GB for one trace of 40,000 spans).
--
-- A node is one text here, '' = none: arrays of narrow tuples are what this statement spends its time on. It begins with
-- the length of its type ("3:sqsorders"), since either part may hold any character.
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
        -- 0 internal work, 1 segment, 2 segment that took a message, 3 call
        multiIf(NOT subsegment, if(kind = 4, 2, 1), namespace != '', 3, 0) AS role,
        toString(service) AS service_name,
        if(service = '', '', concat(toString(length(origin)), ':', origin, service)) AS node,
        if(peer_name = '', '', concat(toString(length(peer_type)), ':', peer_type, peer_name)) AS peer,
        toUnixTimestamp64Milli(received) > {settled:Int64} AS young,
        FIGURES AS figures
    FROM segments
    WHERE CHOSEN
    ORDER BY trace_id, id, in_progress, received DESC, duration DESC
    LIMIT 1 BY trace_id, id
),
gathered AS
(
    -- Pointers: every row at its parent, a segment at itself.
    SELECT
        trace_id,
        groupArray((id, if(role IN (1, 2), id, parent_id))) AS pointers,
        range(toUInt8(ceil(log2(1 + countIf(role IN (0, 3)))))) AS steps,
        groupArrayIf((id, 0, id, service_name, node), role IN (1, 2)) AS segments_there,
        groupArray((id, parent_id, role, service_name, node, peer, young, figures)) AS fields
    FROM deduplicated
    GROUP BY trace_id
),
climbed AS
(
    SELECT
        trace_id,
        fields,
        -- Each step doubles the reach of the pointers. A cycle never arrives at a segment and so finds no owner.
        -- (arrayMap over one element only gives `ordered` its name.)
        arrayFold(
            (reached, step) -> arrayMap(
                ordered -> arraySort(arrayFilter(
                    pointer -> pointer.1 != 0,
                    arrayMap(
                        (entry, last) -> (if(entry.2 = 1, entry.3, 0), if(last.1 = entry.1, last.4, 0)),
                        ordered,
                        arrayFill(entry -> entry.2 = 0, ordered)
                    )
                )),
                [arraySort(arrayConcat(
                    arrayMap(pointer -> (pointer.1, 0, pointer.1, pointer.2), reached),
                    arrayMap(pointer -> (pointer.2, 1, pointer.1, toUInt64(0)), reached)
                ))]
            )[1],
            steps,
            pointers
        ) AS ancestors,
        arraySort(arrayConcat(
            segments_there,
            arrayMap(pointer -> (pointer.2, 1, pointer.1, '', ''), ancestors)
        )) AS entries
    FROM gathered
),
traces AS
(
    SELECT
        trace_id,
        fields,
        -- (id, service, node) of the nearest segment above each row, in the order of ids; ('', '') when there is none.
        arraySort(arrayFilter(owner -> owner.1 != 0, arrayMap(
            (entry, last) -> (
                if(entry.2 = 1, entry.3, 0),
                if(last.1 = entry.1, last.4, ''),
                if(last.1 = entry.1, last.5, '')
            ),
            entries,
            arrayFill(entry -> entry.2 = 0, entries)
        ))) AS owners
    FROM climbed
),
members AS
(
    SELECT
        trace_id,
        row.1 AS id,
        row.2 AS parent_id,
        row.3 AS role,
        -- The caller's node: the segment above, unless the row names another service than that segment.
        if(above.2 != '' AND (row.4 = '' OR row.4 = above.2), above.3, row.5) AS owner,
        row.5 AS node,
        row.6 AS peer,
        row.7 AS young,
        row.8 AS figures
    FROM traces
    ARRAY JOIN fields AS row, owners AS above
),
-- One group per id: the row that has it, and the segments whose parent it is.
related AS
(
    SELECT
        trace_id,
        link.1 AS key,
        groupArrayIf((role, owner, peer, young, figures), link.2)[1] AS parent,
        countIf(link.2) > 0 AS present,
        groupArrayIf((node, peer, role = 2, young, figures), NOT link.2) AS children
    FROM members
    ARRAY JOIN if(role IN (1, 2), [(id, true), (parent_id, false)], [(id, true)]) AS link
    GROUP BY trace_id, key
),
families AS
(
    SELECT
        trace_id,
        present,
        children,
        parent.2 AS caller,
        parent.3 AS callee,
        parent.4 AS young,
        parent.5 AS figures,
        parent.1 = 3 AS called,
        arrayDistinct(arrayMap(child -> child.1, arrayFilter(child -> NOT child.3, children))) AS answering,
        arrayExists(child -> child.3, children) AS queued
    FROM related
),
observations AS
(
    SELECT
        trace_id,
        observation.1 AS relation,
        observation.2 AS source,
        observation.3 AS target,
        observation.4 AS inferred,
        observation.5 AS root,
        observation.6.1 AS minute,
        observation.6.2 AS duration,
        observation.6.3 AS bucket,
        observation.6.4 AS flags,
        observation.6.5 AS environment
    FROM families
    ARRAY JOIN arrayConcat(
        -- A segment is a request of its own node.
        arrayMap(
            child -> (0, '', child.1, false, NOT present AND NOT child.4 AND NOT (child.3 AND child.2 != ''), child.5),
            children
        ),
        -- A call that no segment answers is a request of an inferred node; a queue stays when a consumer took the message.
        if(
            called AND callee != '' AND (queued OR (empty(answering) AND NOT young)),
            [(0, '', callee, true, false, figures), (1, caller, callee, false, false, figures)],
            []
        ),
        -- A call that is answered: an edge with the caller's figures.
        if(called, arrayMap(target -> (1, caller, target, false, false, figures), answering), []),
        -- Edges that only the callee can tell: from the client, from a queue, from a parent that is no call.
        arrayFilter(edge -> edge.2 != edge.3, arrayMap(
            child -> (
                if(child.3 AND (present OR child.2 != ''), 2, 1),
                multiIf(
                    child.3 AND child.2 != '', child.2,
                    NOT present, 'client',
                    child.3 AND called AND callee != '', callee,
                    caller
                ),
                child.1,
                false,
                false,
                child.5
            ),
            arrayFilter(
                child -> if(present, NOT called OR child.3, NOT child.4 OR (child.3 AND child.2 != '')),
                children
            )
        ))
    ) AS observation
)
