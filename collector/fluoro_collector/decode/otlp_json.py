"""OTLP ExportTraceServiceRequest in JSON → segments.

OTLP's JSON is protobuf's with exceptions: ids are hex (either case), enums numbers, keys lowerCamelCase, unknown keys
are ignored, 64-bit integers come as strings or numbers. A null is an absent field.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec

from fluoro.errors import WireError
from fluoro.model import Segment
from fluoro.otel.semantics import from_bytes
from fluoro_collector.decode.decoded import Decoded, Rejection
from fluoro_collector.decode.limits import MAX_ATTRIBUTES, MAX_EVENTS, Allowance, check_json
from fluoro_collector.decode.otlp_spans import BadSpanError, Origin, RawSpan, dropped_counts, origin_of, to_segment
from fluoro_collector.decode.plain import MAX_DEPTH, TooDeepError

_parse = msgspec.json.decode
_KINDS = {
    "SPAN_KIND_UNSPECIFIED": 0,
    "SPAN_KIND_INTERNAL": 1,
    "SPAN_KIND_SERVER": 2,
    "SPAN_KIND_CLIENT": 3,
    "SPAN_KIND_PRODUCER": 4,
    "SPAN_KIND_CONSUMER": 5,
}
_STATUSES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}


def decode_json(data: bytes) -> Decoded:
    """The segments of one request. `{}` is a valid, empty one.

    A span with a field of the wrong type is one Rejection. Raises WireError when the bytes are not JSON, or the
    structure around the spans is not OTLP's, or when the request holds more items than `limits` allow.
    """
    check_json(data)
    try:
        root = _parse(data)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "malformed or not UTF-8"
        raise WireError(f"the request is not JSON: {reason}") from None
    if type(root) is not dict:
        raise WireError("not an OTLP trace request: the JSON is not an object")
    out = Decoded([], [])
    allowance = Allowance()
    for resource_spans in _objects(root, "resourceSpans"):
        try:
            resource, origin = origin_of(_attributes(_object(resource_spans, "resource"), "attributes"))
        except (BadSpanError, TooDeepError) as error:
            raise WireError(f"not an OTLP trace request: resource: {error}") from None
        allowance.spend()
        segments: list[Segment] = []
        for scope_spans in _objects(resource_spans, "scopeSpans"):
            allowance.spend(1 + len(_list(scope_spans, "spans")))
            scope = _object(scope_spans, "scope")
            named = {f"scope.{key}": scope[key] for key in ("name", "version") if scope.get(key).__class__ is str}
            shared = Origin(resource, origin, {key: value for key, value in named.items() if value})
            for span in _list(scope_spans, "spans"):
                try:
                    segments.append(to_segment(_raw(span), shared))
                except BadSpanError as error:
                    out.rejections.append(Rejection(error.code, str(error), _shown_id(span)))
                except TooDeepError as error:
                    out.rejections.append(Rejection("InvalidSegment", f"an attribute is {error}", _shown_id(span)))
        out.batches.append((resource, segments))
    return out


def _raw(span: Any) -> RawSpan:
    if type(span) is not dict:
        raise BadSpanError("InvalidSegment", "a span is not a JSON object")
    status = span.get("status")
    status = status if type(status) is dict else {}
    events, links = _list(span, "events", bad_span=True), _list(span, "links", bad_span=True)
    return RawSpan(
        trace_id=_id(span, "traceId", "InvalidTraceId"),
        span_id=_id(span, "spanId", "MissingId"),
        parent_id=_id(span, "parentSpanId", "InvalidSegment"),
        name=_text(span, "name"),
        kind=_enum(span, "kind", _KINDS),
        start=_integer(span, "startTimeUnixNano"),
        end=_integer(span, "endTimeUnixNano"),
        attributes=_attributes(span, "attributes"),
        events=[
            (_text(event, "name"), _integer(event, "timeUnixNano"), _attributes(event, "attributes"))
            for event in _all_objects(events[:MAX_EVENTS], "events")
        ],
        links=[
            (
                _id(link, "traceId", "InvalidSegment"),
                _id(link, "spanId", "InvalidSegment"),
                _attributes(link, "attributes"),
            )
            for link in _all_objects(links[:MAX_EVENTS], "links")
        ],
        status=_enum(status, "code", _STATUSES),
        status_message=_text(status, "message"),
        flags=_integer(span, "flags"),
        trace_state=_text(span, "traceState"),
        dropped=dropped_counts(
            _integer(span, "droppedAttributesCount")
            + max(len(_list(span, "attributes", bad_span=True)) - MAX_ATTRIBUTES, 0),
            _integer(span, "droppedEventsCount") + max(len(events) - MAX_EVENTS, 0),
            _integer(span, "droppedLinksCount") + max(len(links) - MAX_EVENTS, 0),
        ),
    )


def _attributes(owner: dict[str, Any], key: str) -> dict[str, Any]:
    pairs = _list(owner, key, bad_span=True)[:MAX_ATTRIBUTES]
    return {_text(pair, "key"): _value(pair.get("value"), MAX_DEPTH) for pair in _all_objects(pairs, key)}


def _value(value: Any, depth: int) -> Any:
    """The Python value of an AnyValue object."""
    if value is None:
        return None
    if type(value) is not dict:
        raise BadSpanError("InvalidSegment", 'an attribute value is not an object such as {"stringValue": …}')
    for member, found in value.items():
        if found is None:
            continue
        if member == "stringValue" and type(found) is str:
            return found
        if member == "boolValue" and type(found) is bool:
            return found
        if member == "intValue":
            return _int64(found)
        if member == "doubleValue":
            return _double(found)
        if member == "bytesValue" and type(found) is str:
            return _bytes(found)
        if member in ("arrayValue", "kvlistValue") and type(found) is dict:
            if depth == 0:
                raise TooDeepError(f"nested more than {MAX_DEPTH} levels deep")
            if member == "arrayValue":
                return [_value(item, depth - 1) for item in _list(found, "values", bad_span=True)]
            pairs = _all_objects(_list(found, "values", bad_span=True), "values")
            return {_text(pair, "key"): _value(pair.get("value"), depth - 1) for pair in pairs}
        if member in _MEMBERS:
            raise BadSpanError("InvalidSegment", f"{member} has the wrong type")
    return None


_MEMBERS = frozenset({"stringValue", "boolValue", "intValue", "doubleValue", "bytesValue", "arrayValue", "kvlistValue"})


def _int64(value: Any) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is str and len(value) <= 20:
        try:
            value = int(value)
        except ValueError:
            value = None
    if type(value) is not int or not -(1 << 63) <= value < 1 << 64:
        raise BadSpanError("InvalidSegment", "an integer is not a 64-bit number or a string with one")
    return value


def _double(value: Any) -> float:
    if type(value) is str and len(value) <= 64:
        try:
            return float(value)
        except ValueError:
            value = None
    if type(value) is not float and type(value) is not int:
        raise BadSpanError("InvalidSegment", "doubleValue is not a number")
    try:
        return float(value)
    except OverflowError:
        raise BadSpanError("InvalidSegment", "doubleValue is out of range") from None


def _bytes(value: str) -> dict[str, str]:
    """Checked and written again: protobuf's JSON also allows the URL-safe alphabet and missing padding."""
    try:
        return from_bytes(
            base64.b64decode(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4), validate=True)
        )
    except (binascii.Error, ValueError):
        raise BadSpanError("InvalidSegment", "bytesValue is not base64") from None


def _id(owner: dict[str, Any], key: str, code: str) -> bytes:
    value = owner.get(key)
    if value is None:
        return b""
    # bytes.fromhex skips white space, which no id has.
    if type(value) is str and len(value) % 2 == 0 and " " not in value:
        try:
            found = bytes.fromhex(value)
        except ValueError:
            found = None
        if found is not None and len(found) * 2 == len(value):
            return found
    raise BadSpanError(code, f"{key} is not hexadecimal")


def _integer(owner: dict[str, Any], key: str) -> int:
    value = owner.get(key)
    return 0 if value is None else _int64(value)


def _enum(owner: dict[str, Any], key: str, names: dict[str, int]) -> int:
    """The number; the names that protobuf's own JSON uses are understood too."""
    value = owner.get(key)
    if type(value) is str and value in names:
        return names[value]
    return 0 if value is None else _int64(value)


def _text(owner: dict[str, Any], key: str) -> str:
    value = owner.get(key)
    if value is None:
        return ""
    if type(value) is not str:
        raise BadSpanError("InvalidSegment", f"{key} is not a string")
    return value


def _all_objects(items: list[Any], key: str) -> Iterator[dict[str, Any]]:
    for item in items:
        if type(item) is not dict:
            raise BadSpanError("InvalidSegment", f"{key} holds something that is not an object")
        yield item


def _objects(owner: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    for item in _list(owner, key):
        if type(item) is not dict:
            raise WireError(f"not an OTLP trace request: {key} holds something that is not an object")
        yield item


def _object(owner: dict[str, Any], key: str) -> dict[str, Any]:
    value = owner.get(key)
    if value is not None and type(value) is not dict:
        raise WireError(f"not an OTLP trace request: {key} is not an object")
    return value or {}


def _list(owner: dict[str, Any], key: str, *, bad_span: bool = False) -> list[Any]:
    value = owner.get(key)
    if value is None:
        return []
    if type(value) is not list:
        if bad_span:
            raise BadSpanError("InvalidSegment", f"{key} is not a list")
        raise WireError(f"not an OTLP trace request: {key} is not a list")
    return value


def _shown_id(span: Any) -> str:
    value = span.get("spanId") if type(span) is dict else None
    return value.lower() if type(value) is str and len(value) == 16 and value.isalnum() and value.isascii() else ""
