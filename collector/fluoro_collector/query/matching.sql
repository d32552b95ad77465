-- Matching traces that began in [{from:Int64}, {until:Int64}) (epoch ns), older than the cursor; `search` and `count` ask it.
-- PREFILTER (a condition on one row) finds candidates up to {reach_until:Int64}; CONDITION (on the rows of a trace)
-- decides. Both come from filter/compile.py.
WITH
candidates AS
(
    SELECT trace_id
    FROM segments
    WHERE start >= fromUnixTimestamp64Nano({from:Int64})
      AND start < fromUnixTimestamp64Nano({reach_until:Int64})
      AND PREFILTER
),
members AS
(
    SELECT
        trace_id, id, parent_id, start, duration, in_progress, kind, subsegment, namespace, service, origin,
        peer_name, peer_type, error, throttle, fault,
        http_method, http_url, http_status, http_user_agent, http_client_ip, user, annotations, numbers
    FROM segments
    WHERE start >= fromUnixTimestamp64Nano({from:Int64}) - INTERVAL 1 HOUR
      AND start < fromUnixTimestamp64Nano({until:Int64}) + INTERVAL 1 HOUR
      AND trace_id IN candidates
    ORDER BY trace_id, id, in_progress, received DESC, duration DESC
    LIMIT 1 BY trace_id, id
)
SELECT trace_id, toUnixTimestamp64Nano(min(start)) AS began
FROM members
GROUP BY trace_id
HAVING began >= {from:Int64}
   AND began < {until:Int64}
   AND (began, trace_id) < ({cursor_start:Int64}, {cursor_id:FixedString(16)})
   AND CONDITION
