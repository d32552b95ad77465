"""OTLP ExportTraceServiceRequest in protobuf → segments."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from fluoro.errors import WireError
from fluoro.model import Segment
from fluoro.otel.semantics import from_bytes
from fluoro_collector.decode.decoded import Decoded, Rejection
from fluoro_collector.decode.limits import MAX_ATTRIBUTES, MAX_EVENTS, MAX_SEGMENT_BYTES, WHOLE_BYTES, Allowance
from fluoro_collector.decode.otlp_spans import BadSpanError, Origin, RawSpan, dropped_counts, origin_of, to_segment
from fluoro_collector.decode.plain import MAX_DEPTH, TooDeepError
from fluoro_collector.decode.protobuf_frames import frames

_OVERSIZE = f"the span is larger than {MAX_SEGMENT_BYTES} bytes"
_UNREADABLE = "the span is not valid protobuf, or one of its strings is not UTF-8"
_request = ExportTraceServiceRequest.FromString


def decode_protobuf(data: bytes) -> Decoded:
    """The segments of one request. An empty request is valid.

    A span that cannot be a segment (bad ids) is one Rejection. protobuf refuses a whole message for one string that is
    not UTF-8; then the request is read span by span, so only the bad span is lost. So is a large one: protobuf's objects
    are up to 60 times the size of their bytes. Raises WireError when not even the framing is protobuf's, or when the
    request holds more items than `limits` allow.
    """
    if len(data) > WHOLE_BYTES:
        return _span_by_span(data)
    try:
        request = _request(data)
    except DecodeError:
        return _span_by_span(data)
    allowance = Allowance()
    allowance.spend(len(request.resource_spans))
    out = Decoded([], [])
    for resource_spans in request.resource_spans:
        allowance.spend(len(resource_spans.scope_spans))
        resource, origin = origin_of(_attributes(resource_spans.resource.attributes))
        segments: list[Segment] = []
        for scope_spans in resource_spans.scope_spans:
            allowance.spend(len(scope_spans.spans))
            shared = Origin(resource, origin, _scope(scope_spans.scope))
            _spans(scope_spans.spans, shared, segments, out.rejections)
        out.batches.append((resource, segments))
    return out


def _spans(spans: Any, shared: Origin, segments: list[Segment], rejections: list[Rejection]) -> None:
    for span in spans:
        try:
            segments.append(to_segment(_raw(span), shared))
        except BadSpanError as error:
            rejections.append(Rejection(error.code, str(error), span.span_id.hex() if len(span.span_id) == 8 else ""))
        except TooDeepError as error:
            rejections.append(Rejection("InvalidSegment", f"an attribute is {error}", span.span_id.hex()))


def _raw(span: Any) -> RawSpan:
    status = span.status
    events, links = span.events[:MAX_EVENTS], span.links[:MAX_EVENTS]
    dropped = dropped_counts(
        span.dropped_attributes_count + max(len(span.attributes) - MAX_ATTRIBUTES, 0),
        span.dropped_events_count + len(span.events) - len(events),
        span.dropped_links_count + len(span.links) - len(links),
    )
    return RawSpan(
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        span.name,
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        [(event.name, event.time_unix_nano, _attributes(event.attributes)) for event in events] if events else [],
        [(link.trace_id, link.span_id, _attributes(link.attributes)) for link in links] if links else [],
        status.code,
        status.message,
        span.flags,
        span.trace_state,
        dropped,
    )


def _scope(scope: Any) -> dict[str, Any]:
    found = {"scope.name": scope.name, "scope.version": scope.version}
    return {key: value for key, value in found.items() if value}


def _attributes(pairs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs if len(pairs) <= MAX_ATTRIBUTES else pairs[:MAX_ATTRIBUTES]:
        value = pair.value
        # Most values are strings; this spares them the look at which member is set.
        found[pair.key] = value.string_value or _value(value, MAX_DEPTH)
    return found


def _value(value: Any, depth: int) -> Any:
    member = value.WhichOneof("value")
    if member is None:
        return None
    if member in ("array_value", "kvlist_value"):
        if depth == 0:
            raise TooDeepError(f"nested more than {MAX_DEPTH} levels deep")
        if member == "array_value":
            return [_value(item, depth - 1) for item in value.array_value.values]
        return {pair.key: _value(pair.value, depth - 1) for pair in value.kvlist_value.values}
    found = getattr(value, member)
    return from_bytes(found) if member == "bytes_value" else found


def _span_by_span(data: bytes) -> Decoded:
    """`decode_protobuf` for a request that protobuf refuses as a whole, or that is too large to be one object."""
    out = Decoded([], [])
    allowance = Allowance()
    try:
        for number, body in frames(data, allowance):
            if number == 1:
                _resource_spans(body, out, allowance)
    except ValueError as error:
        raise WireError(f"not an OTLP trace request: {error}") from None
    return out


def _resource_spans(data: bytes, out: Decoded, allowance: Allowance) -> None:
    parts = list(frames(data, allowance))
    attributes: dict[str, Any] = {}
    unreadable = 0
    for message in (body for number, body in parts if number == 1):
        for pair in (body for number, body in frames(message, allowance) if number == 1):
            try:
                attributes |= _attributes([KeyValue.FromString(pair)])
            except DecodeError:
                unreadable += 1
    if unreadable:
        attributes["fluoro.unreadable_attributes"] = unreadable
    resource, origin = origin_of(attributes)
    segments: list[Segment] = []
    for scope_spans in (list(frames(body, allowance)) for number, body in parts if number == 2):
        scope: dict[str, Any] = {}
        for body in (body for number, body in scope_spans if number == 1):
            with suppress(DecodeError):
                scope = _scope(InstrumentationScope.FromString(body))
        spans = []
        for encoded in (body for number, body in scope_spans if number == 2):
            if len(encoded) > MAX_SEGMENT_BYTES:
                out.rejections.append(Rejection("TooLarge", _OVERSIZE))
                continue
            try:
                spans.append(SpanMessage.FromString(encoded))
            except DecodeError:
                out.rejections.append(Rejection("InvalidSegment", _UNREADABLE))
        _spans(spans, Origin(resource, origin, scope), segments, out.rejections)
    out.batches.append((resource, segments))
