CREATE TABLE IF NOT EXISTS edges_1m
(
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)) COMMENT 'start of the minute in which the call began: every range',
    environment LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'deployment environment of the caller, "" = none: filter',
    source_name LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'node key of the caller, with source_type',
    source_type LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'as nodes_1m.type',
    target_name LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'node key of the callee, with target_type',
    target_type LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'as nodes_1m.type',
    kind LowCardinality(String) CODEC(ZSTD(1)) COMMENT '"sync" = the caller waits, "link" = it takes a message later',
    ok UInt64 CODEC(T64, ZSTD(1)) COMMENT 'calls without error, as the caller saw them',
    error UInt64 CODEC(T64, ZSTD(1)) COMMENT 'calls, 4xx without 429',
    throttle UInt64 CODEC(T64, ZSTD(1)) COMMENT 'calls, 429',
    fault UInt64 CODEC(T64, ZSTD(1)) COMMENT 'calls, 5xx and exceptions',
    total UInt64 CODEC(T64, ZSTD(1)) COMMENT 'ok + error + throttle + fault',
    total_time UInt64 CODEC(T64, ZSTD(1)) COMMENT 'ns, sum of durations with the network: mean',
    histogram Map(UInt8, UInt64) CODEC(ZSTD(1)) COMMENT 'calls by bucket of duration (store/histogram.py), merged by sumMap: percentiles',
    version UInt64 CODEC(ZSTD(1)) COMMENT 'as nodes_1m.version'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, environment, source_name, source_type, target_name, target_type, kind)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000
COMMENT 'statistics of each edge of the service map by minute: recomputed from segments, replaced as a whole'
