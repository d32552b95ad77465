-- How many rows of `traces` there are in [{first:UInt32}, {last:UInt32}) (epoch seconds), replaced ones that are still stored
-- included: sizes a sample.
SELECT count() AS traces
FROM traces
WHERE minute >= toDateTime({first:UInt32}, 'UTC')
  AND minute < toDateTime({last:UInt32}, 'UTC')
