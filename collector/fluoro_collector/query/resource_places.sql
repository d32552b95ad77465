-- Cloud account, instance, availability zone and host of the resources {ids:Array(UInt64)} that name one of them; `resource` is
-- an array of fluoro.model.Resource's fields.
SELECT
    id,
    any(JSONExtractString(resource, 5, 'cloud.account.id')) AS account,
    any(JSONExtractString(resource, 5, 'host.id')) AS instance,
    any(JSONExtractString(resource, 5, 'cloud.availability_zone')) AS zone,
    any(host) AS host_name
FROM resources
WHERE id IN {ids:Array(UInt64)}
GROUP BY id
HAVING (account, instance, zone, host_name) != ('', '', '', '')
