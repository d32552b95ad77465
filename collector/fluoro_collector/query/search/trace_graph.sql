-- Nodes and edges of each trace, as graph_minutes.sql counts them, with a bit for each combination of flags
-- (store/schema/0005_traces.sql). Traces that began outside {minutes} are among them.
OBSERVATIONS
SELECT
    t.trace_id AS trace_id,
    groupArrayIf((t.target_name, t.target_type, t.outcomes), t.source = '') AS nodes,
    groupArrayIf((t.source_name, t.source_type, t.target_name, t.target_type, t.outcomes), t.source != '') AS edges
FROM
(
    SELECT
        g.trace_id AS trace_id,
        g.source AS source,
        if(g.client, 'client', substring(g.source, g.source_at, g.source_length)) AS source_type,
        if(g.client, substring(g.target, g.target_at + g.target_length), substring(g.source, g.source_at + g.source_length)) AS source_name,
        substring(g.target, g.target_at, g.target_length) AS target_type,
        substring(g.target, g.target_at + g.target_length) AS target_name,
        g.outcomes AS outcomes
    FROM
    (
        SELECT
            o.trace_id AS trace_id,
            o.source AS source,
            o.target AS target,
            o.source = 'client' AS client,
            position(o.source, ':') + 1 AS source_at,
            toUInt64OrZero(splitByChar(':', o.source)[1]) AS source_length,
            position(o.target, ':') + 1 AS target_at,
            toUInt64OrZero(splitByChar(':', o.target)[1]) AS target_length,
            groupBitOr(toUInt8(bitShiftLeft(toUInt8(1), o.flags))) AS outcomes
        FROM observations AS o
        WHERE o.target != '' AND (o.relation = 0 OR o.source != '')
        GROUP BY o.trace_id, o.source, o.target
    ) AS g
) AS t
GROUP BY t.trace_id
