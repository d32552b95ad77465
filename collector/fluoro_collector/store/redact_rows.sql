-- The rows that redact.sql changes.
start >= fromUnixTimestamp64Nano({first:Int64}) AND start < fromUnixTimestamp64Nano({last:Int64})
AND (
    mapContains(annotations, {key:String})
    OR mapContains(numbers, {key:String})
    OR JSONHas(other, 'annotations', {key:String})
)
AND (
    {digest:String} = ''
    OR (mapContains(annotations, {key:String}) AND hex(SHA256(annotations[{key:String}])) = {digest:String})
    OR (mapContains(numbers, {key:String}) AND hex(SHA256(toString(numbers[{key:String}]))) = {digest:String})
    OR (
        JSONHas(other, 'annotations', {key:String})
        AND hex(SHA256(JSONExtractString(other, 'annotations', {key:String}, 2))) = {digest:String}
    )
)
