-- Take an annotation out of rows, or put {replacement:String} in its place, wherever a row has it: the two maps, and the exact
-- value that `other` keeps for what the maps cannot tell apart (store/segments.py).
--
-- {key:String} the annotation's key, {remove:UInt8} 1 = without a replacement
-- {digest:String} SHA-256 of the only value to take, "" = any: the value itself must not stay in the list of mutations
-- {first:Int64}, {last:Int64} epoch ns: starts of the rows
UPDATE
    annotations = CAST(
        if(
            {remove:UInt8},
            mapFilter((k, v) -> k != {key:String}, annotations),
            mapUpdate(mapFilter((k, v) -> k != {key:String}, annotations), map({key:String}, {replacement:String}))
        ),
        'Map(LowCardinality(String), String)'
    ),
    numbers = CAST(mapFilter((k, v) -> k != {key:String}, numbers), 'Map(LowCardinality(String), Float64)'),
    other = if(
        JSONHas(other, 'annotations', {key:String}),
        concat(
            '{',
            arrayStringConcat(
                arrayMap(
                    part -> concat(
                        toJSONString(part.1),
                        ':',
                        if(
                            part.1 = 'annotations',
                            concat(
                                '{',
                                arrayStringConcat(
                                    arrayMap(
                                        exact -> concat(toJSONString(exact.1), ':', exact.2),
                                        arrayFilter(
                                            exact -> exact.1 != {key:String}, JSONExtractKeysAndValuesRaw(part.2)
                                        )
                                    ),
                                    ','
                                ),
                                '}'
                            ),
                            part.2
                        )
                    ),
                    JSONExtractKeysAndValuesRaw(other)
                ),
                ','
            ),
            '}'
        ),
        other
    )
WHERE
