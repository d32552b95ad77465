CREATE TABLE IF NOT EXISTS traces
(
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)) COMMENT 'start of the minute in which the trace began: every range',
    began DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'epoch ns of its first start: newest first, pages',
    trace_id FixedString(16) CODEC(ZSTD(1)) COMMENT 'as segments.trace_id; zero in the row that only says which version of a minute is current',
    lasted UInt64 CODEC(T64, ZSTD(1)) COMMENT 'ns from the first start to the last end: filter duration, trace list',
    service LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'root: who did the work. Trace list, groups in statistics',
    origin LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'root: kind of host. Entry point of a summary',
    environment LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'root: deployment environment. Filter on every page',
    operation LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'root: what was done. Trace list, groups in statistics',
    http_method LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'root: filter http.method',
    http_url String CODEC(ZSTD(1)) COMMENT 'root: filter http.url',
    http_status UInt16 CODEC(ZSTD(1)) COMMENT 'root, 0 = unknown: filter http.status',
    http_user_agent LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'root: filter http.useragent',
    http_client_ip String CODEC(ZSTD(1)) COMMENT 'root: filter http.clientip',
    response_time UInt64 CODEC(T64, ZSTD(1)) COMMENT 'root: ns, 0 while in progress. Filter responsetime, histogram',
    root_in_progress UInt8 CODEC(ZSTD(1)) COMMENT 'root: 1 = not finished, so it has no response time',
    error UInt8 CODEC(ZSTD(1)) COMMENT 'root: 4xx (429 too). Filters error and ok, colour',
    throttle UInt8 CODEC(ZSTD(1)) COMMENT 'root: 429. Filter ok, colour',
    fault UInt8 CODEC(ZSTD(1)) COMMENT 'root: 5xx or unhandled exception. Filters fault and ok, colour',
    any_error UInt8 CODEC(ZSTD(1)) COMMENT 'any row: 4xx. Candidates for root causes, retention',
    any_throttle UInt8 CODEC(ZSTD(1)) COMMENT 'any row: 429. Filter throttle',
    any_fault UInt8 CODEC(ZSTD(1)) COMMENT 'any row: 5xx or unhandled exception. Candidates for root causes, retention',
    partial UInt8 CODEC(ZSTD(1)) COMMENT 'any row: in progress. Filter partial',
    users Array(String) CODEC(ZSTD(1)) COMMENT 'distinct users of its rows, that of the root first: filter user',
    segments UInt32 CODEC(ZSTD(1)) COMMENT 'rows without copies, 0 = no trace but the version of a minute: trace list',
    services Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'services in the order of their first rows: trace list',
    observed Array(String) EPHEMERAL COMMENT 'INSERT only, nodes and edges are filled from it: per node or edge and flags length of the source, ":", source, target, flags (one digit); a node has no source, "client" is that of its target, else source and target are length of the type, ":", type, name',
    observations Array(Tuple(String, String, UInt8)) EPHEMERAL arrayMap(call -> (substring(call.1, position(call.1, ':') + 1, toUInt32OrZero(substring(call.1, 1, position(call.1, ':') - 1))), substring(call.1, position(call.1, ':') + 1 + toUInt32OrZero(substring(call.1, 1, position(call.1, ':') - 1))), call.2), arrayMap(calls -> (calls[1].1, arrayReduce('groupBitOr', calls.2)), arraySplit((call, first) -> first, arrayMap(text -> (substring(text, 1, length(text) - 1), toUInt8(bitShiftLeft(1, toUInt8OrZero(right(text, 1))))), arraySort(observed)), arrayMap((text, before) -> substring(text, 1, length(text) - 1) != substring(before, 1, length(before) - 1), arraySort(observed), arrayResize(arrayPushFront(arraySort(observed), ''), length(observed)))))) COMMENT 'source, target and outcomes of each node and edge',
    nodes Array(Tuple(name LowCardinality(String), type LowCardinality(String), outcomes UInt8)) DEFAULT arrayMap(call -> (substring(call.2, position(call.2, ':') + 1 + toUInt32OrZero(substring(call.2, 1, position(call.2, ':') - 1))), substring(call.2, position(call.2, ':') + 1, toUInt32OrZero(substring(call.2, 1, position(call.2, ':') - 1))), call.3), arrayFilter(call -> call.1 = '', observations)) CODEC(ZSTD(1)) COMMENT 'what it adds to nodes_1m; outcomes has bit (error + 2 * throttle + 4 * fault) for each request with these flags: filter service()',
    edges Array(Tuple(source_name LowCardinality(String), source_type LowCardinality(String), target_name LowCardinality(String), target_type LowCardinality(String), outcomes UInt8)) DEFAULT arrayMap(call -> (if(call.1 = 'client', substring(call.2, position(call.2, ':') + 1 + toUInt32OrZero(substring(call.2, 1, position(call.2, ':') - 1))), substring(call.1, position(call.1, ':') + 1 + toUInt32OrZero(substring(call.1, 1, position(call.1, ':') - 1)))), if(call.1 = 'client', 'client', substring(call.1, position(call.1, ':') + 1, toUInt32OrZero(substring(call.1, 1, position(call.1, ':') - 1)))), substring(call.2, position(call.2, ':') + 1 + toUInt32OrZero(substring(call.2, 1, position(call.2, ':') - 1))), substring(call.2, position(call.2, ':') + 1, toUInt32OrZero(substring(call.2, 1, position(call.2, ':') - 1))), call.3), arrayFilter(call -> call.1 != '', observations)) CODEC(ZSTD(1)) COMMENT 'what it adds to edges_1m, outcomes as in nodes: filters edge(), service() of a client or of a queue',
    version UInt64 CODEC(ZSTD(1)) COMMENT 'as nodes_1m.version',
    INDEX users_bloom users TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(minute)
ORDER BY (minute, trace_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1
COMMENT 'one row per trace, in the minute in which it began: recomputed from segments, replaced as a whole'
