-- As trace_facets.sql, for what only rows tell: annotations and ROW_FACETS, an array of (condition, facet). A trace counts once.
SELECT facet.1 AS key, facet.2 AS value, facet.3 AS number, count() AS traces
FROM
(
    SELECT DISTINCT
        trace_id,
        arrayJoin(arrayConcat(
            arrayMap((key, text) -> (concat('annotation.', key), text, toUInt8(0)), mapKeys(annotations), mapValues(annotations)),
            arrayMap((key, value) -> (concat('annotation.', key), toString(value), toUInt8(1)), mapKeys(numbers), mapValues(numbers)),
            ROW_FACETS
        )) AS facet
    FROM
    (
        SELECT trace_id, service, version, resource_id, annotations, numbers
        FROM segments
        WHERE start >= fromUnixTimestamp64Nano({from:Int64})
          AND start < fromUnixTimestamp64Nano({reach:Int64})
          AND trace_id IN (
              MATCHING
          )
        ORDER BY trace_id, id, in_progress, received DESC, duration DESC
        LIMIT 1 BY trace_id, id
    )
)
WHERE empty({wanted:Array(Tuple(String, String, UInt8))}) OR facet IN {wanted:Array(Tuple(String, String, UInt8))}
GROUP BY facet
ORDER BY traces DESC, facet
LIMIT {most:UInt32} BY key
