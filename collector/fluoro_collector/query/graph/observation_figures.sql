-- FIGURES of observations.sql: minute, duration, bucket, flags and environment of a row.
(
    toUnixTimestamp(toStartOfMinute(start)),
    duration,
    -- Bucket of the histogram (store/histogram.py), 255 = not finished.
    toUInt8(if(in_progress, 255, least(greatest(floor(log2(duration) * 4) - 40, 0), 127))),
    toUInt8(error + 2 * throttle + 4 * fault),
    toString(environment)
)
