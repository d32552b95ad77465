-- How many matching traces have each (key, value, is it a number). MATCHING has `facets`, the distinct ones of a trace. With
-- {wanted:Array(Tuple(String, String, UInt8))} only these; empty = the {most:UInt32} most frequent of each key.
SELECT facet.1 AS key, facet.2 AS value, facet.3 AS number, count() AS traces
FROM
(
    SELECT arrayJoin(m.facets) AS facet
    FROM
    (
        MATCHING
    ) AS m
)
WHERE empty({wanted:Array(Tuple(String, String, UInt8))}) OR facet IN {wanted:Array(Tuple(String, String, UInt8))}
GROUP BY facet
ORDER BY traces DESC, facet
LIMIT {most:UInt32} BY key
