CREATE TABLE IF NOT EXISTS maintenance
(
    kind LowCardinality(String) COMMENT '"retention": a day whose traces without errors are gone; "import": a file that was imported',
    name String COMMENT 'the day, "2026-01-31"; or the export and its file',
    finished DateTime64(3, 'UTC') COMMENT 'epoch ms: when'
)
ENGINE = ReplacingMergeTree(finished)
ORDER BY (kind, name)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000
COMMENT 'work on old data that is done once and can take long: what of it is finished'
