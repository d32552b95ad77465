CREATE TABLE IF NOT EXISTS nodes_1m
(
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)) COMMENT 'start of the minute in which the request began: every range',
    environment LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'deployment environment, "" = none: filter',
    name LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'node key, with type',
    type LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'origin, type of the peer, "client" or ""',
    inferred UInt8 CODEC(ZSTD(1)) COMMENT '1 = seen only from its callers',
    root UInt8 CODEC(ZSTD(1)) COMMENT '1 = some trace began here',
    ok UInt64 CODEC(T64, ZSTD(1)) COMMENT 'requests without error: colours of the ring',
    error UInt64 CODEC(T64, ZSTD(1)) COMMENT 'requests, 4xx without 429',
    throttle UInt64 CODEC(T64, ZSTD(1)) COMMENT 'requests, 429',
    fault UInt64 CODEC(T64, ZSTD(1)) COMMENT 'requests, 5xx and exceptions',
    total UInt64 CODEC(T64, ZSTD(1)) COMMENT 'ok + error + throttle + fault',
    total_time UInt64 CODEC(T64, ZSTD(1)) COMMENT 'ns, sum of durations: mean',
    histogram Map(UInt8, UInt64) CODEC(ZSTD(1)) COMMENT 'requests by bucket of duration (store/histogram.py), merged by sumMap: percentiles',
    version UInt64 CODEC(ZSTD(1)) COMMENT 'epoch ns of the rollup run; of two rows with one key, and of all rows of one minute, only the greatest counts'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, environment, name, type)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000
COMMENT 'statistics of each node of the service map by minute: recomputed from segments, replaced as a whole'
