-- Ids of the traces of matching.sql, newest first.
SELECT trace_id, began
FROM
(
    MATCHING
)
ORDER BY began DESC, trace_id DESC
LIMIT {limit:UInt32}
