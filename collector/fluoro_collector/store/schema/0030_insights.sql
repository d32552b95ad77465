CREATE TABLE IF NOT EXISTS insights
(
    start DateTime('UTC') CODEC(ZSTD(1)) COMMENT 'first minute in which a service left its band: every range',
    id String CODEC(ZSTD(1)) COMMENT 'UUID text: GetInsight',
    group_name LowCardinality(String) COMMENT 'whose traces were looked at: lists',
    ended DateTime('UTC') CODEC(ZSTD(1)) COMMENT 'end of the last such minute, 1970 = active: lists by state',
    summary String CODEC(ZSTD(1)) COMMENT 'JSON, insights/insight.py without its events: lists',
    events String CODEC(ZSTD(1)) COMMENT 'JSON, its events, oldest first: GetInsightEvents',
    deleted UInt8 CODEC(ZSTD(1)) COMMENT '1 = has become part of another one',
    version UInt64 CODEC(ZSTD(1)) COMMENT 'epoch ns; of rows with one id only the greatest counts'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(start)
ORDER BY (start, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000
COMMENT 'insights of groups: one row per change, replaced as a whole; the API reaches back 30 days'
