-- The host of each resource that names one.
SELECT r.id AS id, any(r.host) AS host
FROM resources AS r
WHERE r.host != '' AND r.id != 0
GROUP BY r.id
