CREATE TABLE IF NOT EXISTS configuration
(
    kind LowCardinality(String) COMMENT 'what the document is: "group", "sampling-rule", "policy", …: every read is of one kind',
    name String COMMENT 'unique within the kind',
    document String CODEC(ZSTD(1)) COMMENT 'JSON; {} when deleted',
    deleted UInt8 COMMENT '1 = this version says that there is no such document any more',
    version UInt64 COMMENT 'epoch ns of the change; of rows with one (kind, name) only the greatest counts'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (kind, name)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000
COMMENT 'what people set through the API: groups, sampling rules, policies, … as documents'
