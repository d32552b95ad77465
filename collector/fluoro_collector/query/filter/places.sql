(
    -- The place of each node among those of its trace, by its first request.
    SELECT *, max(place) OVER (PARTITION BY trace_id) AS last_place
    FROM
    (
        SELECT *, dense_rank() OVER (PARTITION BY trace_id ORDER BY appeared, target) - 1 AS place
        FROM (SELECT *, min(start) OVER (PARTITION BY trace_id, target) AS appeared FROM observed WHERE relation = 0)
    )
)
