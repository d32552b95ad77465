-- The most frequent values of each filter keyword and annotation among the traces that began in [{first:UInt32},
-- {last:UInt32}) (epoch seconds), and each annotation key with the value ''. Only traces of a sample, one of {every:UInt64},
-- are asked for values; keys are those of all.
SELECT *
FROM
(
    SELECT key, value, traces * {every:UInt64} AS traces
    FROM
    (
        SELECT fact.1 AS key, fact.2 AS value, count() AS traces
        FROM traces
        ARRAY JOIN arrayConcat(
            [
                ('http.method', toString(http_method)),
                ('http.url', http_url),
                ('http.status', if(http_status = 0, '', toString(http_status))),
                ('http.useragent', toString(http_user_agent)),
                ('http.clientip', http_client_ip)
            ],
            arrayMap(user -> ('user', user), users),
            arrayMap(name -> ('service', toString(name)), arrayDistinct(nodes.name)),
            arrayMap(type -> ('type', toString(type)), arrayDistinct(nodes.type))
        ) AS fact
        WHERE minute >= toDateTime({first:UInt32}, 'UTC')
          AND minute < toDateTime({last:UInt32}, 'UTC')
          AND (minute, version) IN (
              SELECT minute, max(version)
              FROM traces
              WHERE minute >= toDateTime({first:UInt32}, 'UTC')
                AND minute < toDateTime({last:UInt32}, 'UTC')
              GROUP BY minute
          )
          AND cityHash64(trace_id) % {every:UInt64} = 0
        GROUP BY key, value
        UNION ALL
        SELECT concat('annotation.', item.1) AS key, item.2 AS value, uniqExact(trace_id) AS traces
        FROM segments
        ARRAY JOIN arrayConcat(
            CAST(annotations, 'Array(Tuple(String, String))'),
            arrayMap(number -> (toString(number.1), toString(number.2)), CAST(numbers, 'Array(Tuple(String, Float64))'))
        ) AS item
        WHERE start >= toDateTime({first:UInt32}, 'UTC')
          AND start < toDateTime64({last:UInt32}, 0, 'UTC')
          AND cityHash64(trace_id) % {every:UInt64} = 0
        GROUP BY key, value
    )
    WHERE value != '' AND lengthUTF8(value) <= {longest:UInt32}
    ORDER BY key, traces DESC, value
    LIMIT {most:UInt32} BY key
)
UNION ALL
SELECT *
FROM
(
    SELECT concat('annotation.', item) AS key, '' AS value, count() AS traces
    FROM segments
    ARRAY JOIN arrayConcat(mapKeys(annotations), mapKeys(numbers)) AS item
    WHERE start >= toDateTime({first:UInt32}, 'UTC')
      AND start < toDateTime64({last:UInt32}, 0, 'UTC')
      AND lengthUTF8(item) <= {longest:UInt32}
    GROUP BY key
    ORDER BY traces DESC, key
    LIMIT {keys:UInt32}
)
