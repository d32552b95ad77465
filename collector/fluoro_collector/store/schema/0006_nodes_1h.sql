CREATE TABLE IF NOT EXISTS nodes_1h
(
    hour DateTime('UTC') CODEC(Delta(4), ZSTD(1)) COMMENT 'start of the hour in which the request began: ranges over an hour',
    environment LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'as nodes_1m.environment',
    name LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'node key, with type',
    type LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'as nodes_1m.type',
    first_minute DateTime('UTC') CODEC(ZSTD(1)) COMMENT 'first minute with requests: where rates of a map begin',
    inferred UInt8 CODEC(ZSTD(1)) COMMENT '1 = seen only from its callers',
    root UInt8 CODEC(ZSTD(1)) COMMENT '1 = some trace began here',
    ok UInt64 CODEC(T64, ZSTD(1)) COMMENT 'requests without error: colours of the ring',
    error UInt64 CODEC(T64, ZSTD(1)) COMMENT 'requests, 4xx without 429',
    throttle UInt64 CODEC(T64, ZSTD(1)) COMMENT 'requests, 429',
    fault UInt64 CODEC(T64, ZSTD(1)) COMMENT 'requests, 5xx and exceptions',
    total UInt64 CODEC(T64, ZSTD(1)) COMMENT 'ok + error + throttle + fault',
    total_time UInt64 CODEC(T64, ZSTD(1)) COMMENT 'ns, sum of durations: mean',
    histogram Map(UInt8, UInt64) CODEC(ZSTD(1)) COMMENT 'as nodes_1m.histogram',
    version UInt64 CODEC(ZSTD(1)) COMMENT 'epoch ns before its minutes were read; of all rows of one hour only the greatest counts'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, environment, name, type)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000
COMMENT 'nodes_1m added up by hour: replaced as a whole whenever one of its minutes was'
