-- Hours or days (epoch seconds) whose version is missing or not newer than that of everything in them, or in which something
-- was replaced since {since:UInt64} (epoch ns). {size:UInt32} seconds is their size.
SELECT below.period AS period
FROM
(
    SELECT intDiv(toUnixTimestamp(PART), {size:UInt32}) * {size:UInt32} AS period, max(version) AS version
    FROM nodes_BELOW
    GROUP BY period
) AS below
LEFT JOIN
(
    SELECT toUnixTimestamp(PERIOD) AS period, max(version) AS version
    FROM nodes_LEVEL
    GROUP BY period
) AS done ON done.period = below.period
WHERE below.version >= done.version OR below.version >= {since:UInt64}
