CREATE TABLE IF NOT EXISTS completions_1h
(
    hour DateTime('UTC') CODEC(Delta(4), ZSTD(1)) COMMENT 'start of the hour in which the traces began: values in a range',
    key LowCardinality(String) COMMENT 'filter keyword, "service", "type", or "annotation." and a key: what is being written',
    value String CODEC(ZSTD(1)) COMMENT 'one of the most frequent values, at most 128 characters; "" = the key itself: list of values, list of keys',
    traces UInt64 CODEC(T64, ZSTD(1)) COMMENT 'traces with it, estimated from a sample in large hours: most frequent first',
    version UInt64 CODEC(ZSTD(1)) COMMENT 'as nodes_1h.version'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, key, value)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000
COMMENT 'what can be written in the filter box: recomputed from traces and segments, replaced as a whole'
