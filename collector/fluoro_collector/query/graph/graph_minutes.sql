-- Nodes and edges of the service map, one row per minute, environment and key, from de-duplicated segments.
OBSERVATIONS
SELECT
    ['node', 'sync', 'link'][g.relation + 1] AS relation,
    g.minute AS minute,
    g.environment AS environment,
    if(g.client, 'client', substring(g.source, g.source_at, g.source_length)) AS source_type,
    if(g.client, substring(g.target, g.target_at + g.target_length), substring(g.source, g.source_at + g.source_length)) AS source_name,
    substring(g.target, g.target_at, g.target_length) AS target_type,
    substring(g.target, g.target_at + g.target_length) AS target_name,
    g.* EXCEPT (relation, minute, environment, source, target, client, source_at, source_length, target_at, target_length)
FROM
(
    SELECT
        o.relation AS relation,
        o.minute AS minute,
        o.environment AS environment,
        o.source AS source,
        o.target AS target,
        o.source = 'client' AS client,
        position(o.source, ':') + 1 AS source_at,
        toUInt64OrZero(splitByChar(':', o.source)[1]) AS source_length,
        position(o.target, ':') + 1 AS target_at,
        toUInt64OrZero(splitByChar(':', o.target)[1]) AS target_length,
        min(o.inferred) AS inferred,
        max(o.root) AS root,
        countIf(o.flags = 0) AS ok,
        countIf(o.flags = 1) AS error,
        countIf(o.flags IN (2, 3)) AS throttle,
        countIf(o.flags >= 4) AS fault,
        count() AS total,
        sum(o.duration) AS total_time,
        groupArrayIf(o.bucket, o.bucket < 255) AS buckets
    FROM observations AS o
    WHERE o.minute IN {minutes:Array(UInt32)}
      AND o.target != ''
      AND (o.relation = 0 OR o.source != '')
    GROUP BY o.relation, o.minute, o.environment, o.source, o.target
) AS g
