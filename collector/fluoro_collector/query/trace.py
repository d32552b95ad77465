"""One trace by id: its rows, and its tree in depth-first order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from fluoro.model import Cause, Event, Http, Kind, Resource, Sql
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.resources import read as read_resources
from fluoro_collector.store.segments import READ_COLUMNS, Row, from_columns

from .ids import format_trace_id
from .sql import statement
from .traces import SECOND, outcome

HOUR = 3600
_EARLIEST, _LATEST = 0, (1 << 32) - 1


class Placed(NamedTuple):
    """A row and its place: `parent` is the index of its parent in the list, -1 for a root or an orphan."""

    row: Row
    parent: int
    depth: int


class Peer(msgspec.Struct, kw_only=True):
    """The node of the service map a call points at."""

    name: str
    type: str


class LinkView(msgspec.Struct, kw_only=True):
    trace_id: str
    id: str
    attributes: dict[str, Any] | None


class EventView(msgspec.Struct, kw_only=True):
    """`time` in seconds from the start of the trace."""

    name: str
    time: float
    attributes: dict[str, Any] | None


class SegmentView(msgspec.Struct, kw_only=True):
    """One segment of a trace. `start` in seconds from the start of the trace, `duration` in seconds (0 in progress).

    `type` is "segment" (entry of a service) or "subsegment". `kind` is "internal", "server", "client", "producer" or
    "consumer". `parent` is an index into the list, -1 for a root and for a segment whose parent is not stored.
    """

    id: str
    parent: int
    depth: int
    service: str
    name: str
    operation: str
    kind: str
    namespace: str
    type: str
    origin: str
    start: float
    duration: float
    in_progress: bool
    outcome: str
    http: dict[str, Any] | None
    aws: dict[str, Any] | None
    sql: dict[str, Any] | None
    cause: dict[str, Any] | None
    annotations: dict[str, Any]
    metadata: dict[str, Any]
    links: list[LinkView]
    events: list[EventView]
    user: str
    peer: Peer | None
    resource: dict[str, Any]


class Trace(msgspec.Struct, kw_only=True):
    """`start` in epoch seconds; `duration` from the first start to the last end. `partial`: something is in progress."""

    id: str
    start: float
    duration: float
    partial: bool
    segments: list[SegmentView]


def rows(engine: Engine, trace_id: bytes, now: float | None = None) -> list[Row]:
    """The de-duplicated rows of a trace by start; [] when there are none.

    The first four bytes of an id are its epoch second if an X-Ray SDK (or ours) made it: that hour and its neighbours
    are read first, which is a primary-key search. Everything that is stored is searched when nothing is there, a
    parent is missing, or the trace goes on to the end of what was read.
    """
    second = int.from_bytes(trace_id[:4], "big")
    if second <= (time.time() if now is None else now) + HOUR:
        begin = second // HOUR * HOUR
        found = _read(engine, trace_id, max(begin - HOUR, _EARLIEST), min(begin + 2 * HOUR, _LATEST))
        if found and _complete(found, (begin + HOUR) * SECOND):
            return found
    return _read(engine, trace_id, _EARLIEST, _LATEST)


def _read(engine: Engine, trace_id: bytes, begin: int, until: int) -> list[Row]:
    sql = statement("trace").replace("COLUMNS_TO_READ", READ_COLUMNS)
    return from_columns(engine.query(sql, {"trace_id": trace_id, "from": begin, "until": until}))


def _complete(found: Sequence[Row], until: int) -> bool:
    ids = {row.segment.id for row in found}
    last = max(max(row.segment.start, row.segment.end) for row in found)
    return last < until and all(not row.segment.parent_id or row.segment.parent_id in ids for row in found)


def place(found: Sequence[Row]) -> list[Placed]:
    """Depth first, siblings by start. Orphans are roots; of a cycle the earliest member is one."""
    ids = {row.segment.id for row in found}
    children: dict[int, list[Row]] = {}
    for row in sorted(found, key=_order):
        parent = row.segment.parent_id
        children.setdefault(parent if parent in ids and parent != row.segment.id else 0, []).append(row)
    placed: list[Placed] = []
    seen: set[int] = set()

    def walk(root: Row) -> None:
        pending = [(root, -1, 0)]
        while pending:
            row, parent, depth = pending.pop()
            if row.segment.id in seen:
                continue
            seen.add(row.segment.id)
            placed.append(Placed(row, parent, depth))
            index = len(placed) - 1
            pending.extend((child, index, depth + 1) for child in reversed(children.get(row.segment.id, ())))

    for root in children.get(0, ()):
        walk(root)
    if len(seen) < len(found):
        for row in sorted(found, key=_order):
            if row.segment.id not in seen:
                walk(row)
    return placed


def trace(engine: Engine, trace_id: bytes) -> Trace | None:
    """The trace in depth-first order, or None when it is not stored."""
    found = rows(engine, trace_id)
    if not found:
        return None
    resources = read_resources(engine, [row.resource_id for row in found])
    start = min(row.segment.start for row in found)
    end = max(max(row.segment.start, row.segment.end) for row in found)
    return Trace(
        id=format_trace_id(trace_id),
        start=start / SECOND,
        duration=(end - start) / SECOND,
        partial=any(row.segment.in_progress for row in found),
        segments=[_view(each, start, resources.get(each.row.resource_id)) for each in place(found)],
    )


def _view(placed: Placed, trace_start: int, resource: Resource | None) -> SegmentView:
    row = placed.row
    segment = row.segment
    return SegmentView(
        id=f"{segment.id:016x}",
        parent=placed.parent,
        depth=placed.depth,
        service=row.service,
        name=segment.name,
        operation=segment.operation,
        kind=Kind(segment.kind).name.lower(),
        namespace=segment.namespace,
        type="subsegment" if segment.subsegment else "segment",
        origin=segment.origin,
        start=(segment.start - trace_start) / SECOND,
        duration=max(segment.end - segment.start, 0) / SECOND,
        in_progress=segment.in_progress,
        outcome=outcome(segment.error, segment.throttle, segment.fault),
        http=None if segment.http is None else _http(segment.http),
        aws=segment.aws,
        sql=None if segment.sql is None else _sql(segment.sql),
        cause=None if segment.cause is None else _cause(segment.cause),
        annotations=dict(segment.annotations or {}),
        metadata=dict(segment.metadata or {}),
        links=[
            LinkView(trace_id=format_trace_id(link.trace_id), id=f"{link.id:016x}", attributes=link.attributes)
            for link in segment.links or ()
        ],
        events=[_event(event, trace_start) for event in segment.events or ()],
        user=segment.user,
        peer=Peer(name=row.peer_name, type=row.peer_type) if row.peer_name else None,
        resource={} if resource is None else _resource(resource),
    )


def _http(http: Http) -> dict[str, Any]:
    """Only what is known."""
    known = _known(http, "method", "url", "status", "user_agent", "client_ip", "x_forwarded_for", "route")
    if http.content_length >= 0:
        known["content_length"] = http.content_length
    return known


def _sql(sql: Sql) -> dict[str, Any]:
    return _known(sql, *sql.__struct_fields__)


def _cause(cause: Cause) -> dict[str, Any]:
    shown = _known(cause, "ref", "working_directory", "paths")
    shown["exceptions"] = [
        {
            **_known(exception, "id", "type", "message", "remote", "cause", "truncated", "skipped"),
            "stack": [{"path": frame.path, "line": frame.line, "label": frame.label} for frame in exception.stack],
        }
        for exception in cause.exceptions
    ]
    return shown


def _event(event: Event, trace_start: int) -> EventView:
    return EventView(name=event.name, time=(event.time - trace_start) / SECOND, attributes=event.attributes)


def _resource(resource: Resource) -> dict[str, Any]:
    return _known(resource, "service_name", "service_version", "environment", "host", "attributes")


def _known(struct: msgspec.Struct, *fields: str) -> dict[str, Any]:
    return {name: value for name in fields if (value := getattr(struct, name))}


def _order(row: Row) -> tuple[int, int]:
    return row.segment.start, row.segment.id
