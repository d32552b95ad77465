"""Segments to the columns of table `segments`, and rows back to segments, without loss.

Both directions work column by column: one list comprehension per column is the fastest thing Python has for this.
What a column cannot tell apart is written down in `other`, and only then: an annotation 5.0 (stored like 5), "true" (stored
like True), an end before the start. So the usual row pays nothing for exactness.

JSON values must be JSON: NaN and infinity inside `aws`, `metadata` and attributes come back as None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from fluoro.model import Annotation, Cause, Event, Http, Kind, Link, Resource, Segment, Sql
from fluoro_collector.decode.peer import peer

from .resources import resource_id

_LOW = "LowCardinality(String)"

# The columns of an INSERT, in the table's order, with the type each has in the block.
COLUMNS: dict[str, str] = {
    "trace_id": "FixedString(16)",
    "id": "UInt64",
    "parent_id": "UInt64",
    "start": "DateTime64(9, 'UTC')",
    "duration": "UInt64",
    "in_progress": "UInt8",
    "kind": "UInt8",
    "subsegment": "UInt8",
    "namespace": _LOW,
    "service": _LOW,
    "name": _LOW,
    "operation": _LOW,
    "origin": _LOW,
    "environment": _LOW,
    "version": _LOW,
    "resource_id": "UInt64",
    "peer_name": _LOW,
    "peer_type": _LOW,
    "error": "UInt8",
    "throttle": "UInt8",
    "fault": "UInt8",
    "traced": "UInt8",
    "http_method": _LOW,
    "http_url": "String",
    "http_status": "UInt16",
    "http_user_agent": _LOW,
    "http_client_ip": "String",
    "http_route": _LOW,
    "http_content_length": "Int64",
    "user": "String",
    "annotations_json": "String",
    "http": "String",
    "aws": "String",
    "sql": "String",
    "cause": "String",
    "metadata": "String",
    "links": "String",
    "events": "String",
    "other": "String",
    "received": "DateTime64(3, 'UTC')",
}

# What `from_columns` reads: `SELECT {READ_COLUMNS} FROM segments …`.
READ_COLUMNS = ", ".join(name for name in COLUMNS if name not in {"environment", "version"}).replace(
    "annotations_json", "annotations, numbers"
)


class Row(NamedTuple):
    """A stored segment. `service` did the work, `peer_name` and `peer_type` are the node it points at, `received` is epoch ms."""

    segment: Segment
    resource_id: int
    service: str
    peer_name: str
    peer_type: str
    received: int


_encode = msgspec.json.encode
_decode = msgspec.json.decode
_sql = msgspec.json.Decoder(Sql).decode
_cause = msgspec.json.Decoder(Cause).decode
_links = msgspec.json.Decoder(list[Link]).decode
_events = msgspec.json.Decoder(list[Event]).decode

_NO_HTTP = Http()
_NOTHING: dict[str, Any] = {}
_EXACT = (
    1 << 53
)  # integers up to here are exact in a Float64, so a whole number below comes back as int, above as float
# Bytes without which no annotation in JSON text needs a note: a text that looks like a boolean, a whole float, NaN, and
# (with every digit made 0) an integer of 16 digits. One scan of a batch replaces a look at every value.
_AMBIGUOUS = (b'"true"', b'"false"', b".0,", b".0}", b":null")
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG = (b":" + b"0" * 16, b":-" + b"0" * 16)
_INT64 = 1 << 63
_BOOLEANS = frozenset({"true", "false"})
_KINDS = tuple(Kind)


def to_columns(
    batches: Sequence[tuple[Resource, Sequence[Segment]]], received_ns: int
) -> dict[str, tuple[str, Sequence[Any]]]:
    """One block of table `segments`, as `Engine.insert` takes it. The segments have passed `decode.validate.check`."""
    segments: list[Segment] = []
    service: list[str] = []
    environment: list[str] = []
    version: list[str] = []
    resources: list[int] = []
    for resource, items in batches:
        segments += items
        count = len(items)
        environment += [resource.environment] * count
        version += [resource.service_version] * count
        resources += [resource_id(resource)] * count
        own = resource.service_name
        service += [(item.service or own) if item.subsegment else item.name for item in items]
    https = [item.http or _NO_HTTP for item in segments]
    peers = [peer(item) for item in segments]
    annotations, odd = _annotations(segments)
    values: tuple[Sequence[Any], ...] = (
        [item.trace_id for item in segments],
        [item.id for item in segments],
        [item.parent_id for item in segments],
        [item.start for item in segments],
        [item.end - item.start if item.end > item.start else 0 for item in segments],
        [item.in_progress for item in segments],
        [item.kind for item in segments],
        [item.subsegment for item in segments],
        [item.namespace for item in segments],
        service,
        [item.name for item in segments],
        [item.operation for item in segments],
        [item.origin for item in segments],
        environment,
        version,
        resources,
        [name for name, _ in peers],
        [kind for _, kind in peers],
        [item.error for item in segments],
        [item.throttle for item in segments],
        [item.fault for item in segments],
        [item.traced for item in segments],
        [http.method for http in https],
        [http.url for http in https],
        [http.status for http in https],
        [http.user_agent for http in https],
        [http.client_ip for http in https],
        [http.route for http in https],
        [http.content_length if -_INT64 <= http.content_length < _INT64 else -1 for http in https],
        [item.user for item in segments],
        annotations,
        ["" if http is _NO_HTTP else _http_rest(http) for http in https],
        ["" if item.aws is None else _encode(item.aws) for item in segments],
        ["" if item.sql is None else _encode(item.sql) for item in segments],
        ["" if item.cause is None else _encode(item.cause) for item in segments],
        ["" if item.metadata is None else _encode(item.metadata) for item in segments],
        ["" if item.links is None else _encode(item.links) for item in segments],
        ["" if item.events is None else _encode(item.events) for item in segments],
        [_other(item, odd.get(row)) for row, item in enumerate(segments)],
        [received_ns // 1_000_000] * len(segments),
    )
    return {name: (kind, column) for (name, kind), column in zip(COLUMNS.items(), values, strict=True)}


def _annotations(segments: Sequence[Segment]) -> tuple[list[bytes], dict[int, dict[str, list[str]]]]:
    """The annotations of each segment as JSON, which the engine turns into its two maps, and what the maps would lose."""
    texts = [_encode(item.annotations) if item.annotations else b"" for item in segments]
    blob = b"".join(texts)
    ambiguous = any(mark in blob for mark in _AMBIGUOUS) or any(mark in blob.translate(_DIGITS) for mark in _LONG)
    if ambiguous or any(item.annotations == {} for item in segments):
        return texts, {row: odd for row, item in enumerate(segments) if (odd := _odd(item.annotations)) is not None}
    return texts, {}


def _odd(annotations: dict[str, Annotation] | None) -> dict[str, list[str]] | None:
    """{key: [type, exact text]} of the values that would come back as another type, or None."""
    if annotations is None:
        return None
    odd = {}
    for key, value in annotations.items():
        if isinstance(value, str):
            if value in _BOOLEANS:
                odd[key] = ["str", value]
        elif isinstance(value, float):
            if not math.isfinite(value) or (value.is_integer() and -_EXACT <= value <= _EXACT):
                odd[key] = ["float", repr(value)]
        elif not isinstance(value, bool) and not -_EXACT <= value <= _EXACT:
            odd[key] = ["int", str(value)]
    return odd if odd or not annotations else None


def _http_rest(http: Http) -> str:
    """What of `http` has no column. "{}" says that there is an http section although every column has its default."""
    if http.x_forwarded_for:
        return '{"x_forwarded_for":true}'
    return "{}" if http == _NO_HTTP else ""


def _other(item: Segment, odd: dict[str, list[str]] | None) -> bytes | str:
    """The rest of a segment, "" for most."""
    end = item.end
    consistent = end == 0 if item.in_progress else end >= item.start
    if (
        consistent
        and odd is None
        and not item.service
        and not item.resource_arn
        and item.precursor_ids is None
        and not item.trace_state
    ):
        return ""
    rest: dict[str, Any] = {}
    if not consistent:
        rest["end"] = end
    if odd is not None:
        rest["annotations"] = odd
    if item.service:
        rest["service"] = item.service
    if item.resource_arn:
        rest["resource_arn"] = item.resource_arn
    if item.precursor_ids is not None:
        rest["precursor_ids"] = item.precursor_ids
    if item.trace_state:
        rest["trace_state"] = item.trace_state
    return _encode(rest)


def from_columns(columns: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Rows of `SELECT {READ_COLUMNS} FROM segments …`, in the order of the answer."""
    names = READ_COLUMNS.split(", ")
    return [_row(*values) for values in zip(*(columns[name] for name in names), strict=True)]


def _row(
    trace_id: bytes,
    id_: int,
    parent_id: int,
    start: int,
    duration: int,
    in_progress: int,
    kind: int,
    subsegment: int,
    namespace: str,
    service: str,
    name: str,
    operation: str,
    origin: str,
    resource: int,
    peer_name: str,
    peer_type: str,
    error: int,
    throttle: int,
    fault: int,
    traced: int,
    http_method: str,
    http_url: str,
    http_status: int,
    http_user_agent: str,
    http_client_ip: str,
    http_route: str,
    http_content_length: int,
    user: str,
    texts: dict[str, str],
    numbers: dict[str, float],
    http_rest: str,
    aws: str,
    sql: str,
    cause: str,
    metadata: str,
    links: str,
    events: str,
    other: str,
    received: int,
) -> Row:
    rest = _decode(other) if other else _NOTHING
    http = Http(
        http_method,
        http_url,
        http_status,
        http_content_length,
        http_user_agent,
        http_client_ip,
        bool(http_rest) and http_rest != "{}",
        http_route,
    )
    segment = Segment(
        trace_id=trace_id,
        id=id_,
        parent_id=parent_id,
        name=name,
        start=start,
        end=rest.get("end", 0 if in_progress else start + duration),
        kind=_KINDS[kind],
        subsegment=bool(subsegment),
        namespace=namespace,
        operation=operation,
        error=bool(error),
        throttle=bool(throttle),
        fault=bool(fault),
        http=http if http_rest or http != _NO_HTTP else None,
        aws=_decode(aws) if aws else None,
        sql=_sql(sql) if sql else None,
        cause=_cause(cause) if cause else None,
        annotations=_typed(texts, numbers, rest.get("annotations")),
        metadata=_decode(metadata) if metadata else None,
        links=_links(links) if links else None,
        events=_events(events) if events else None,
        origin=origin,
        user=user,
        service=rest.get("service", ""),
        resource_arn=rest.get("resource_arn", ""),
        in_progress=bool(in_progress),
        traced=bool(traced),
        precursor_ids=rest.get("precursor_ids"),
        trace_state=rest.get("trace_state", ""),
    )
    return Row(segment, resource, service, peer_name, peer_type, received)


def _typed(
    texts: dict[str, str], numbers: dict[str, float], odd: dict[str, list[str]] | None
) -> dict[str, Annotation] | None:
    if not texts and not numbers and not odd:
        return None if odd is None else {}
    found: dict[str, Annotation] = {}
    for key, text in texts.items():
        found[key] = text == "true" if text in _BOOLEANS else text
    for key, number in numbers.items():
        found[key] = int(number) if number.is_integer() and -_EXACT <= number <= _EXACT else number
    for key, (kind, exact) in (odd or {}).items():
        found[key] = int(exact) if kind == "int" else float(exact) if kind == "float" else exact
    return found
