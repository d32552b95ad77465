SELECT DISTINCT r.trace_id
FROM
(
    WITH observed AS
    (
        SELECT
            o.trace_id AS trace_id,
            o.relation AS relation,
            o.source AS source,
            o.target AS target,
            o.inferred AS inferred,
            o.root AS root,
            o.minute AS start,
            o.flags AS bits,
            substring(o.target, position(o.target, ':') + 1, toUInt64OrZero(splitByChar(':', o.target)[1])) AS target_type,
            substring(o.target, position(o.target, ':') + 1 + length(target_type)) AS target_name,
            if(o.source = 'client', 'client', substring(
                o.source, position(o.source, ':') + 1, toUInt64OrZero(splitByChar(':', o.source)[1])
            )) AS source_type,
            if(o.source = 'client', target_name, substring(
                o.source, position(o.source, ':') + 1 + length(source_type)
            )) AS source_name
        FROM observations AS o
        WHERE o.target != '' AND (o.relation = 0 OR o.source != '')
    )
    SELECT * FROM ORDERED
) AS r
