-- Hours (epoch seconds) whose completions are missing or older than their nodes.
SELECT below.hour AS hour
FROM
(
    SELECT toUnixTimestamp(hour) AS hour, max(version) AS version
    FROM nodes_1h
    GROUP BY hour
) AS below
LEFT JOIN
(
    SELECT toUnixTimestamp(hour) AS hour, max(version) AS version
    FROM completions_1h
    GROUP BY hour
) AS done ON done.hour = below.hour
WHERE below.version >= done.version
