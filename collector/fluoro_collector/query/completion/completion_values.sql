-- Values of {key:String} that begin with {prefix:String} (upper and lower case are one), most frequent first, in the hours
-- [{first:UInt32}, {last:UInt32}) (epoch seconds): only rows of an hour's newest version count.
SELECT value, sum(c.traces) AS traces
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
  AND c.key = {key:String}
  AND value != ''
  AND startsWith(lowerUTF8(value), lowerUTF8({prefix:String}))
GROUP BY value
ORDER BY traces DESC, value
LIMIT {limit:UInt32}
