-- Stored rows of `traces` in [{rows_first:UInt32}, {rows_last:UInt32}) (epoch seconds) but for the dirty {minutes:Array(UInt32)}:
-- only rows of a minute's newest version count. {ids:Array(FixedString(16))} only these traces; empty = all.
SELECT *
FROM traces
WHERE minute >= toDateTime({rows_first:UInt32}, 'UTC')
  AND minute < toDateTime({rows_last:UInt32}, 'UTC')
  AND toUnixTimestamp(minute) NOT IN {minutes:Array(UInt32)}
  AND (minute, version) IN (
      SELECT minute, max(version)
      FROM traces
      WHERE minute >= toDateTime({rows_first:UInt32}, 'UTC')
        AND minute < toDateTime({rows_last:UInt32}, 'UTC')
      GROUP BY minute
  )
  AND segments > 0
  AND (empty({ids:Array(FixedString(16))}) OR trace_id IN {ids:Array(FixedString(16))})
