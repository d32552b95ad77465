-- Insights that were active at some time in [{first:UInt32}, {last:UInt32}) (epoch seconds), newest start first, after the
-- one of ({before_start:UInt32}, {before_id:String}). {group:String} '' = of all groups, {state:String} 'ACTIVE', 'CLOSED'
-- or '', {id:String} '' = all.
SELECT
    toUnixTimestamp(i.start) AS start,
    i.id AS id,
    argMax(i.summary, i.version) AS summary,
    if({events:UInt8} = 1, argMax(i.events, i.version), '') AS events,
    toUnixTimestamp(argMax(i.ended, i.version)) AS ended,
    argMax(i.deleted, i.version) AS deleted
FROM insights AS i
WHERE i.start < toDateTime({last:UInt32}, 'UTC')
  AND ({group:String} = '' OR i.group_name = {group:String})
  AND ({id:String} = '' OR i.id = {id:String})
GROUP BY start, id
HAVING deleted = 0
   AND (ended = 0 OR ended > {first:UInt32})
   AND ({state:String} = '' OR ({state:String} = 'ACTIVE') = (ended = 0))
   AND (start, id) < ({before_start:UInt32}, {before_id:String})
ORDER BY start DESC, id DESC
LIMIT {limit:UInt32}
