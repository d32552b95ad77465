-- In how many matching traces each node has requests, and each edge calls ({with_edges:UInt8}), by the worst of them and by
-- period of {period:UInt32} seconds; of each period the {most:UInt32} with the most traces. The bits of outcomes: 0005_traces.sql.
SELECT
    intDiv(m.second, {period:UInt32}) * {period:UInt32} AS time,
    item.1 AS source_name,
    item.2 AS source_type,
    item.3 AS name,
    item.4 AS type,
    countIf(bitAnd(item.5, 254) = 0) AS ok,
    countIf(bitAnd(item.5, 252) = 0 AND bitAnd(item.5, 2) != 0) AS error,
    countIf(bitAnd(item.5, 240) = 0 AND bitAnd(item.5, 12) != 0) AS throttle,
    countIf(bitAnd(item.5, 240) != 0) AS fault,
    count() AS traces
FROM
(
    MATCHING
) AS m
ARRAY JOIN arrayConcat(
    arrayMap(node -> ('', '', toString(node.1), toString(node.2), node.3), m.nodes),
    if(
        {with_edges:UInt8} = 1,
        arrayMap(edge -> (toString(edge.1), toString(edge.2), toString(edge.3), toString(edge.4), edge.5), m.edges),
        []
    )
) AS item
GROUP BY time, source_name, source_type, name, type
ORDER BY time, source_name != '', traces DESC, source_name, source_type, name, type
LIMIT {most:UInt32} BY time, source_name != ''
