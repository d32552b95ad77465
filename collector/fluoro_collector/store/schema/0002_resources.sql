CREATE TABLE IF NOT EXISTS resources
(
    id UInt64 COMMENT 'hash of the resource (store/resources.py): the resource of a segment',
    service LowCardinality(String) COMMENT 'service name: which processes a service runs in',
    version LowCardinality(String) COMMENT 'service version: versions of a service',
    environment LowCardinality(String) COMMENT 'deployment environment: values of the environment filter',
    host String COMMENT 'host name: hosts of a service',
    resource String CODEC(ZSTD(1)) COMMENT 'JSON array, fields of fluoro.model.Resource in order: waterfall',
    first_seen DateTime64(3, 'UTC') COMMENT 'epoch ms at which a collector first saw it since its start: new versions'
)
ENGINE = ReplacingMergeTree
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000
COMMENT 'one row per process that sent segments; may hold duplicates until a merge'
