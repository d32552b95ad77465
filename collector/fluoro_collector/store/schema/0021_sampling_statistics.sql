CREATE TABLE IF NOT EXISTS sampling_statistics
(
    window DateTime('UTC') CODEC(Delta(4), ZSTD(1)) COMMENT 'start of the 10 s in which the report came in: every range',
    rule LowCardinality(String) COMMENT 'name of the sampling rule',
    client String CODEC(ZSTD(1)) COMMENT 'ClientID of the process that reported: demand by client',
    collector String CODEC(ZSTD(1)) COMMENT 'the collector process that took the report: it counts its own clients from memory',
    requests UInt64 CODEC(T64, ZSTD(1)) COMMENT 'requests that fell under the rule',
    sampled UInt64 CODEC(T64, ZSTD(1)) COMMENT 'of these, recorded',
    borrowed UInt64 CODEC(T64, ZSTD(1)) COMMENT 'of these, recorded before there was a quota',
    demand UInt64 CODEC(T64, ZSTD(1)) COMMENT 'requests of the last report: what a quota is shared by',
    quota UInt64 CODEC(T64, ZSTD(1)) COMMENT 'traces a second lent with the last report',
    reported DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'time of the last report: whether the client is active'
)
ENGINE = MergeTree
PARTITION BY toDate(window)
ORDER BY (window, rule, client)
TTL window + INTERVAL 1 DAY DELETE
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000
COMMENT 'what tracing clients reported to GetSamplingTargets, in windows of 10 s'
