"""The table that OpenTelemetry's ClickHouse exporter creates for traces, and the same questions asked of it.

Columns, codecs, indexes and the lookup table of trace ids are those its documentation states for one node. On ClickHouse
26.2 and newer it creates text indexes where it created bloom filters before: `Peer("text")` and `Peer("bloom")`. The
questions are asked in the forms that use these indexes.
"""

from __future__ import annotations

from typing import Any

from fluoro_collector.store.engine import Engine

_TEXT = "String CODEC(ZSTD(1))"
_LOW = "LowCardinality(String) CODEC(ZSTD(1))"
_MAP = "Map(LowCardinality(String), String) CODEC(ZSTD(1))"
_NESTED_MAP = "Map(LowCardinality(String), String)"
_COLUMNS = {
    "Timestamp": "DateTime64(9) CODEC(Delta(8), ZSTD(1))",
    "TraceId": _TEXT,
    "SpanId": _TEXT,
    "ParentSpanId": _TEXT,
    "TraceState": _TEXT,
    "SpanName": _LOW,
    "SpanKind": _LOW,
    "ServiceName": _LOW,
    "ResourceAttributes": _MAP,
    "ScopeName": _TEXT,
    "ScopeVersion": _TEXT,
    "SpanAttributes": _MAP,
    "Duration": "UInt64 CODEC(T64, ZSTD(1))",
    "StatusCode": _LOW,
    "StatusMessage": _TEXT,
    "Events": f"Nested(Timestamp DateTime64(9), Name LowCardinality(String), Attributes {_NESTED_MAP}) CODEC(ZSTD(1))",
    "Links": f"Nested(TraceId String, SpanId String, TraceState String, Attributes {_NESTED_MAP}) CODEC(ZSTD(1))",
}
_MAPS = {"ResourceAttribute": "res_attr", "SpanAttribute": "span_attr"}
LOOKUP = "_trace_id_ts"


class Peer:
    """`indexes` is "bloom" or "text"."""

    def __init__(self, engine: Engine, indexes: str) -> None:
        self.engine = engine
        self.indexes = indexes
        self.table = f"otel_{indexes}"
        self.name = f"otel, {indexes}"

    def create(self, table: str = "") -> None:
        """The table, its lookup table and the view that fills it."""
        table = table or self.table
        columns = [f"{name} {kind}" for name, kind in _COLUMNS.items()]
        columns += [
            f"{name}Items Array(String) ALIAS arrayMap(kv -> concat(kv.1, '=', kv.2),"
            f" CAST({name}s, 'Array(Tuple(String, String))'))"
            for name in _MAPS
        ]
        self.engine.command(
            f"CREATE TABLE {table} ({', '.join([*columns, *self._indexes()])}) ENGINE = MergeTree"
            " PARTITION BY toDate(Timestamp) PRIMARY KEY (ServiceName, SpanName, toDateTime(Timestamp))"
            " ORDER BY (ServiceName, SpanName, toDateTime(Timestamp), Timestamp)"
            " SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1"
        )
        self.engine.command(
            f"CREATE TABLE {table}{LOOKUP} (TraceId String CODEC(ZSTD(1)),"
            " Start SimpleAggregateFunction(min, DateTime) CODEC(ZSTD(1)),"
            " End SimpleAggregateFunction(max, DateTime) CODEC(ZSTD(1))) ENGINE = AggregatingMergeTree"
            " PARTITION BY toStartOfWeek(Start) ORDER BY TraceId SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1"
        )
        self.engine.command(
            f"CREATE MATERIALIZED VIEW {table}{LOOKUP}_mv TO {table}{LOOKUP} AS SELECT TraceId, min(Timestamp) AS Start,"
            f" max(Timestamp) AS End FROM {table} WHERE TraceId != '' GROUP BY TraceId"
        )

    def drop(self, table: str) -> None:
        for name in (f"{table}{LOOKUP}_mv", f"{table}{LOOKUP}", table):
            self.engine.command(f"DROP TABLE {name} SYNC")

    def _indexes(self) -> list[str]:
        array = "text(tokenizer = 'array')"
        found = []
        if self.indexes == "text":
            found.append(f"INDEX idx_trace_id TraceId TYPE {array}")
            for name, short in _MAPS.items():
                found.append(f"INDEX idx_{short}_key mapKeys({name}s) TYPE {array}")
                found.append(f"INDEX idx_{short}_items {name}Items TYPE {array}")
        else:
            found.append("INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1")
            for name, short in _MAPS.items():
                found.append(f"INDEX idx_{short}_key mapKeys({name}s) TYPE bloom_filter(0.01) GRANULARITY 1")
                found.append(f"INDEX idx_{short}_value mapValues({name}s) TYPE bloom_filter(0.01) GRANULARITY 1")
        found.append("INDEX idx_duration Duration TYPE minmax GRANULARITY 1")
        found.append("INDEX idx_lower_span_name lower(SpanName) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8")
        return found

    def trace(self, trace_id: bytes) -> int:
        """Spans of a trace, all columns, by way of the lookup table as the exporter's documentation shows."""
        found = self._query(
            f"WITH (SELECT min(Start) FROM {self.table}{LOOKUP} WHERE TraceId = {{id:String}}) AS first,"
            f" (SELECT max(End) + 1 FROM {self.table}{LOOKUP} WHERE TraceId = {{id:String}}) AS last"
            f" SELECT * FROM {self.table} WHERE TraceId = {{id:String}} AND Timestamp >= first AND Timestamp <= last",
            id=trace_id.hex(),
        )
        return len(found["SpanId"])

    def roots(self, start: int, end: int, condition: str, limit: int) -> set[str]:
        """The newest traces whose root meets a condition."""
        found = self._query(
            f"SELECT TraceId FROM {self.table} WHERE ParentSpanId = '' AND {condition} AND {_RANGE}"
            " ORDER BY Timestamp DESC LIMIT {limit:UInt32}",
            start=start,
            end=end,
            limit=limit,
        )
        return set(found["TraceId"])

    def spans(self, start: int, end: int, condition: str, limit: int, **params: str) -> set[str]:
        """The newest traces of which some span meets a condition."""
        found = self._query(
            f"SELECT TraceId, max(Timestamp) AS newest FROM {self.table} WHERE {condition} AND {_RANGE} GROUP BY TraceId"
            " ORDER BY newest DESC LIMIT {limit:UInt32}",
            start=start,
            end=end,
            limit=limit,
            **params,
        )
        return set(found["TraceId"])

    def attribute(self, start: int, end: int, key: str, value: str, limit: int) -> set[str]:
        """Traces with a value of a span attribute."""
        if self.indexes == "text":
            condition = "has(SpanAttributeItems, {item:String})"
            return self.spans(start, end, condition, limit, item=f"{key}={value}")
        return self.spans(start, end, "SpanAttributes[{key:String}] = {value:String}", limit, key=key, value=value)

    def service_map(self, start: int, end: int) -> int:
        """Calls between services: each span that serves joined to the one that asked. Databases and AWS are not on it."""
        found = self._query(
            "SELECT caller.ServiceName AS source, callee.ServiceName AS target, count() AS calls,"
            " countIf(callee.StatusCode = 'Error') AS failed, quantiles(0.5, 0.95, 0.99)(callee.Duration) AS durations"
            f" FROM (SELECT TraceId, ParentSpanId, ServiceName, StatusCode, Duration FROM {self.table}"
            f" WHERE SpanKind IN ('Server', 'Consumer') AND {_RANGE}) AS callee"
            f" INNER JOIN (SELECT TraceId, SpanId, ServiceName FROM {self.table}"
            f" WHERE SpanKind IN ('Client', 'Producer') AND {_RANGE}) AS caller"
            " ON caller.TraceId = callee.TraceId AND caller.SpanId = callee.ParentSpanId GROUP BY source, target",
            start=start,
            end=end,
        )
        return sum(found["calls"])

    def series(self, start: int, end: int, service: str, period: int) -> int:
        """Requests, failures and quantiles of a service by period."""
        found = self._query(
            "SELECT toStartOfInterval(Timestamp, toIntervalSecond({period:UInt32})) AS time, count() AS requests,"
            " countIf(StatusCode = 'Error') AS failed, quantiles(0.5, 0.95, 0.99)(Duration) AS durations"
            f" FROM {self.table} WHERE ServiceName = {{service:String}} AND SpanKind IN ('Server', 'Consumer') AND {_RANGE}"
            " GROUP BY time",
            start=start,
            end=end,
            service=service,
            period=period,
        )
        return sum(found["requests"])

    def _query(self, sql: str, **params: Any) -> dict[str, list[Any]]:
        return self.engine.query(sql, params)


_RANGE = (
    "Timestamp >= fromUnixTimestamp64Nano({start:UInt32} * 1000000000, 'UTC')"
    " AND Timestamp < fromUnixTimestamp64Nano({end:UInt32} * 1000000000, 'UTC')"
)
