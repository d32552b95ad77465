"""Replace minutes: `segments` → `edges_1m`, `nodes_1m`, `traces`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

from fluoro_collector.query.graph.graph_minutes import Minutes, rolled_minutes
from fluoro_collector.query.search.trace_rows import trace_basics
from fluoro_collector.store.engine import Engine

LOW = "LowCardinality(String)"
FIGURES = {
    "ok": "UInt64",
    "error": "UInt64",
    "throttle": "UInt64",
    "fault": "UInt64",
    "total": "UInt64",
    "total_time": "UInt64",
    "histogram": "Map(UInt8, UInt64)",
}
NODE_KEY = {"environment": LOW, "name": LOW, "type": LOW}
EDGE_KEY = {
    "environment": LOW,
    "source_name": LOW,
    "source_type": LOW,
    "target_name": LOW,
    "target_type": LOW,
    "kind": LOW,
}
TIME = "DateTime('UTC')"
_VERSION = {"version": "UInt64"}
NODE_COLUMNS = {"minute": TIME, **NODE_KEY, "inferred": "UInt8", "root": "UInt8", **FIGURES, **_VERSION}
EDGE_COLUMNS = {"minute": TIME, **EDGE_KEY, **FIGURES, **_VERSION}
TRACE_COLUMNS = {
    "minute": TIME,
    "began": "DateTime64(9, 'UTC')",
    "trace_id": "FixedString(16)",
    "lasted": "UInt64",
    "service": LOW,
    "origin": LOW,
    "environment": LOW,
    "operation": LOW,
    "http_method": LOW,
    "http_url": "String",
    "http_status": "UInt16",
    "http_user_agent": LOW,
    "http_client_ip": "String",
    "response_time": "UInt64",
    "root_in_progress": "UInt8",
    "error": "UInt8",
    "throttle": "UInt8",
    "fault": "UInt8",
    "any_error": "UInt8",
    "any_throttle": "UInt8",
    "any_fault": "UInt8",
    "partial": "UInt8",
    "users": "Array(String)",
    "segments": "UInt32",
    "services": f"Array({LOW})",
    "observed": "Array(String)",
    **_VERSION,
}
_RENAMED = {"name": "target_name", "type": "target_type", "kind": "relation"}
_NO_TRACE = bytes(16)
_ZERO: dict[str, Any] = {LOW: "", "String": "", "Map(UInt8, UInt64)": {}, "FixedString(16)": _NO_TRACE}

Columns = dict[str, tuple[str, Sequence[Any]]]


def replace_minutes(engine: Engine, minutes: Sequence[int], version: int) -> None:
    """Compute these minutes (epoch seconds, ascending) and write them with `version`.

    Traces last: a minute counts as done by them (`unrolled_minutes.sql`). Raises StoreError, StoreBusy.
    """
    rolled = rolled_minutes(engine, minutes)
    traces = trace_basics(engine, minutes)
    traces["observed"] = [rolled.observed.get(trace_id, []) for trace_id in traces["trace_id"]]
    engine.insert("edges_1m", _graph_block(EDGE_COLUMNS, rolled, minutes, version, edges=True))
    engine.insert("nodes_1m", _graph_block(NODE_COLUMNS, rolled, minutes, version, edges=False))
    engine.insert("traces", marked(TRACE_COLUMNS, traces, "minute", minutes, version))


def _graph_block(
    spec: dict[str, str], rolled: Minutes, minutes: Sequence[int], version: int, *, edges: bool
) -> Columns:
    columns = rolled.columns
    wanted = [(relation != "node") == edges for relation in columns["relation"]]
    names = {name: name if name in columns else _RENAMED[name] for name in spec if name != "version"}
    chosen = {name: list(compress(columns[source], wanted)) for name, source in names.items()}
    return marked(spec, chosen, "minute", minutes, version)


def marked(
    spec: dict[str, str], columns: dict[str, list[Any]], time: str, periods: Sequence[int], version: int
) -> Columns:
    """A block of `columns`, and one row with an empty key for each of `periods`: it says which version is current."""
    block: Columns = {}
    marks = len(periods)
    for name, kind in spec.items():
        if name == "version":
            block[name] = (kind, [version] * (len(columns[time]) + marks))
        elif name == time:
            block[name] = (kind, [*columns[time], *periods])
        else:
            empty: Any = [] if kind.startswith("Array") else _ZERO.get(kind, 0)
            block[name] = (kind, [*columns[name], *[empty] * marks])
    return block
