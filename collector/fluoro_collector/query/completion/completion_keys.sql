-- Annotation keys that begin with {prefix:String} (upper and lower case are one), most frequent first, in the hours
-- [{first:UInt32}, {last:UInt32}) (epoch seconds): only rows of an hour's newest version count.
SELECT substring(c.key, length('annotation.') + 1) AS name, sum(c.traces) AS rows
FROM completions_1h AS c
WHERE c.hour >= toDateTime({first:UInt32}, 'UTC')
  AND c.hour < toDateTime({last:UInt32}, 'UTC')
  AND (c.hour, c.version) IN (
      SELECT hour, max(version)
      FROM completions_1h
      WHERE hour >= toDateTime({first:UInt32}, 'UTC')
        AND hour < toDateTime({last:UInt32}, 'UTC')
      GROUP BY hour
  )
  AND c.value = ''
  AND startsWith(c.key, 'annotation.')
  AND startsWith(lowerUTF8(name), lowerUTF8({prefix:String}))
GROUP BY name
ORDER BY rows DESC, name
LIMIT {limit:UInt32}
