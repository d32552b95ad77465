"""One OpenTelemetry span, already in Python values → a segment. Shared by the protobuf and the JSON reader."""

from __future__ import annotations

from typing import Any, NamedTuple

from fluoro.aws_resource import origin_of_platform
from fluoro.model import Cause, Event, ExceptionRecord, Kind, Link, Resource, Segment
from fluoro.otel.semantics import apply, explain, is_segment
from fluoro_collector.decode.tracebacks import parse_traceback

_KINDS = (Kind.INTERNAL, Kind.INTERNAL, Kind.SERVER, Kind.CLIENT, Kind.PRODUCER, Kind.CONSUMER)
_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)
_MASK = (1 << 64) - 1
_IS_REMOTE = 0x200  # span flags: the parent is in another process; 0x100 says that this bit is meaningful
_ERROR = 2


class BadSpanError(ValueError):
    """A span that cannot become a segment. `code` as in `Rejection`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Origin(NamedTuple):
    """What all spans of one resource and scope share."""

    resource: Resource
    origin: str
    otel: dict[str, Any]
    """Name and version of the instrumentation scope, for `metadata`; the same dict for all spans."""


class RawSpan(NamedTuple):
    """A span as OTLP has it: ids of any length, epoch nanoseconds, OTLP's numbers for kind and status."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    kind: int
    start: int
    end: int
    attributes: dict[str, Any]
    events: list[tuple[str, int, dict[str, Any]]]
    links: list[tuple[bytes, bytes, dict[str, Any]]]
    status: int
    status_message: str
    flags: int
    trace_state: str
    dropped: dict[str, int]


def dropped_counts(attributes: int, events: int, links: int) -> dict[str, int]:
    """`RawSpan.dropped`: what the sender left out, and what was over our limits."""
    if not (attributes or events or links):
        return {}
    named = {"dropped_attributes_count": attributes, "dropped_events_count": events, "dropped_links_count": links}
    return {name: count for name, count in named.items() if count}


def origin_of(attributes: dict[str, Any]) -> tuple[Resource, str]:
    """The resource of its OpenTelemetry attributes (consumed), and the X-Ray origin they imply.

    A resource without `service.name` is "unknown_service", as the OpenTelemetry SDKs write themselves.
    """
    origin = origin_of_platform(attributes)

    def take(*keys: str) -> str:
        for key in keys:
            value = attributes.get(key)
            if isinstance(value, str):
                del attributes[key]
                if value:
                    return value
        return ""

    resource = Resource(
        service_name=take("service.name") or "unknown_service",
        service_version=take("service.version"),
        environment=take("deployment.environment.name", "deployment.environment"),
        host=take("host.name"),
        attributes=attributes,
    )
    return resource, origin


def to_segment(span: RawSpan, shared: Origin) -> Segment:
    """The segment of `span`; consumes its attributes. Raises BadSpanError."""
    trace_id = span.trace_id
    if len(trace_id) != 16 or trace_id == _NO_TRACE:
        raise BadSpanError("InvalidTraceId", "the trace id is not 16 bytes, or zero")
    if len(span.span_id) != 8 or span.span_id == _NO_SPAN:
        raise BadSpanError("MissingId", "the span id is not 8 bytes, or zero")
    if span.parent_id and len(span.parent_id) != 8:
        raise BadSpanError("InvalidSegment", "the parent span id is not 8 bytes")
    kind = _KINDS[span.kind] if 0 <= span.kind < 6 else Kind.INTERNAL
    parent_id = int.from_bytes(span.parent_id, "big")
    segment = Segment(
        trace_id,
        int.from_bytes(span.span_id, "big"),
        parent_id,
        "",
        span.start,
        span.end,
        kind,
        not is_segment(kind, parent_id, bool(span.flags & _IS_REMOTE)),
        in_progress=span.end == 0,
        trace_state=span.trace_state,
    )
    if not segment.subsegment:
        segment.origin = shared.origin
    failed = span.status == _ERROR
    apply(segment, span.name, span.attributes, shared.resource.service_name, failed)
    if span.events or failed:
        _events(segment, span, failed)
    if span.links:
        segment.links = [
            Link(linked, int.from_bytes(span_id, "big"), attributes or None)
            for linked, span_id, attributes in span.links
            if len(linked) == 16 and len(span_id) == 8
        ] or None
    otel = shared.otel if not span.dropped else shared.otel | span.dropped
    if otel:
        if segment.metadata is None:
            segment.metadata = {"otel": otel}
        else:
            segment.metadata["otel"] = otel
    return segment


def _events(segment: Segment, span: RawSpan, failed: bool) -> None:
    """Exception events become the cause; other events stay. What an exception event says beyond type, message and
    a Python traceback (another language's stack, further attributes) stays as an event too.
    """
    remote = segment.kind in (Kind.CLIENT, Kind.PRODUCER)
    exceptions: list[ExceptionRecord] = []
    events: list[Event] = []
    for name, time, attributes in span.events:
        if name == "exception" and ("exception.type" in attributes or "exception.message" in attributes):
            # Ids must differ within the trace and be the same when a sender repeats itself.
            seed = (segment.id + 1 + len(exceptions)) & _MASK
            records = _exceptions(attributes, seed, remote=remote)
            exceptions += records
            rest = {key: value for key, value in attributes.items() if not _is_told(key, records)}
            if not rest:
                continue
            attributes = rest  # noqa: PLW2901
        events.append(Event(name, time, attributes or None))
    if exceptions:
        segment.cause = Cause(exceptions=exceptions)
    elif failed and span.status_message:
        explain(segment, span.status_message)
    if events:
        segment.events = events


def _exceptions(attributes: dict[str, Any], seed: int, *, remote: bool) -> list[ExceptionRecord]:
    text = attributes.get("exception.stacktrace")
    records = parse_traceback(text, seed, remote=remote) if isinstance(text, str) else []
    kind, message = attributes.get("exception.type"), attributes.get("exception.message")
    if not records:
        records = [ExceptionRecord(id=f"{seed:016x}", remote=remote)]
    # The attributes are more exact than the text: a qualified type, a message of several lines.
    if isinstance(kind, str) and kind:
        records[0].type = kind
    if isinstance(message, str):
        records[0].message = message
    return records


def _is_told(key: str, records: list[ExceptionRecord]) -> bool:
    if key == "exception.stacktrace":
        return bool(records[0].stack)
    return key in ("exception.type", "exception.message", "exception.escaped")
