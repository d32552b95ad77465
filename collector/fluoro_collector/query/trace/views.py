"""One segment of a trace as the dashboard shows it."""

from __future__ import annotations

from typing import Any

import msgspec

from fluoro.model import Cause, Event, Http, Kind, Resource, Sql
from fluoro_collector.query.ids import format_trace_id
from fluoro_collector.query.search.search import SECOND
from fluoro_collector.query.search.summaries import outcome
from fluoro_collector.store.segments import Row


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

    `skew` is to be added to `start` to correct the clock of its host; `start` is as it was sent.
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
    skew: float
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


def segment_view(
    row: Row, parent: int, depth: int, trace_start: int, skew: int, resource: dict[str, Any]
) -> SegmentView:
    """`trace_start` in epoch ns, `skew` in ns, `resource` as `resource_view` gives it."""
    segment = row.segment
    return SegmentView(
        id=f"{segment.id:016x}",
        parent=parent,
        depth=depth,
        service=row.service,
        name=segment.name,
        operation=segment.operation,
        kind=Kind(segment.kind).name.lower(),
        namespace=segment.namespace,
        type="subsegment" if segment.subsegment else "segment",
        origin=segment.origin,
        start=(segment.start - trace_start) / SECOND,
        duration=max(segment.end - segment.start, 0) / SECOND,
        skew=skew / SECOND,
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
        resource=resource,
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


def resource_view(resource: Resource) -> dict[str, Any]:
    """Only what is known."""
    return _known(resource, "service_name", "service_version", "environment", "host", "attributes")


def _known(struct: msgspec.Struct, *fields: str) -> dict[str, Any]:
    return {name: value for name in fields if (value := getattr(struct, name))}
