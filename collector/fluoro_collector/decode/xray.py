"""X-Ray segment documents (JSON) → segments. The writing direction is `fluoro.xray_document`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fluoro.aws_resource import attributes_of, origin_of_section
from fluoro.model import Kind, Resource, Segment
from fluoro_collector.decode import xray_sections as sections
from fluoro_collector.decode.decoded import Decoded, Rejection
from fluoro_collector.decode.plain import TooDeepError, plain

MAX_DOCUMENT = 64 * 1024
MAX_NAME = 200
MAX_BAD_SUBSEGMENTS = 10  # in one document; then the rest of it is not read

_parse = msgspec.json.decode

# `service` key of a document → resource attribute.
_SERVICE = (
    ("runtime", "process.runtime.name"),
    ("runtime_version", "process.runtime.version"),
    ("compiler", "process.compiler.name"),
    ("compiler_version", "process.compiler.version"),
)


class _RefusedError(Exception):
    def __init__(self, code: str, message: str, segment_id: str = "") -> None:
        self.rejection = Rejection(code, message, segment_id)


def decode(documents: Iterable[str | bytes]) -> Decoded:
    """The segments of all documents, nested subsegments flattened into segments of their own.

    A document that cannot be read gives one Rejection with X-Ray's code and never affects the others; a bad nested
    subsegment is rejected together with what is below it. Unknown keys are dropped. A subsegment takes `trace_id` and
    the service's name from its segment; one that was sent alone has `service` "" and an empty resource. An annotation
    whose value is no string, number or bool moves to `metadata.default`.
    """
    grouped: dict[Any, tuple[Resource, list[Segment]]] = {}
    rejections: list[Rejection] = []
    for document in documents:
        try:
            root = _object(document)
            _decode_one(root, grouped, rejections)
        except _RefusedError as refused:
            rejections.append(refused.rejection)
    return Decoded(list(grouped.values()), rejections)


def _object(document: str | bytes) -> dict[str, Any]:
    if len(document) > MAX_DOCUMENT:
        raise _RefusedError("InvalidSegment", "the document is over 64 KB")
    try:
        if isinstance(document, str) and len(document.encode()) > MAX_DOCUMENT:
            raise _RefusedError("InvalidSegment", "the document is over 64 KB")
        root = _parse(document)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "not JSON"
        raise _RefusedError("InvalidSegment", f"the document is {reason}") from None
    if type(root) is not dict:
        raise _RefusedError("InvalidSegment", "the document is not a JSON object")
    return root


def _decode_one(
    root: dict[str, Any], grouped: dict[Any, tuple[Resource, list[Segment]]], rejections: list[Rejection]
) -> None:
    trace_id = sections.trace_id(root.get("trace_id"))
    if trace_id is None:
        raise _RefusedError("InvalidTraceId", "trace_id is not 1-8hex-24hex", _shown_id(root))
    alone = root.get("type") == "subsegment" or root.get("namespace") in ("aws", "remote")
    first = _segment(root, trace_id, subsegment=alone)
    resource = Resource() if alone else _resource(root, first)
    if not alone:
        first.origin = first.origin or origin_of_section(first.aws or {})
    key = (resource.service_name, resource.service_version, tuple(resource.attributes.items()))
    segments = grouped.setdefault(key, (resource, []))[1]
    segments.append(first)
    enough = len(rejections) + MAX_BAD_SUBSEGMENTS
    # An explicit stack: documents nest as deep as their JSON parser allows.
    pending = [(root, first.id)]
    while pending:
        document, parent_id = pending.pop()
        children = document.get("subsegments")
        for child in children if isinstance(children, list) else ():
            if len(rejections) >= enough:
                rejections.append(Rejection("InvalidSegment", "too many bad subsegments; the rest is not read"))
                return
            if type(child) is not dict:
                rejections.append(Rejection("InvalidSegment", "a subsegment is not a JSON object"))
                continue
            try:
                segment = _segment(child, trace_id, subsegment=True)
            except _RefusedError as refused:
                rejections.append(refused.rejection)
                continue
            segment.parent_id = parent_id
            segment.service = "" if alone else first.name
            segments.append(segment)
            pending.append((child, segment.id))


def _resource(root: dict[str, Any], segment: Segment) -> Resource:
    service = root.get("service")
    attributes = attributes_of(segment.aws or {})
    version = ""
    if isinstance(service, dict):
        version = sections.text(service.get("version"))
        attributes |= {name: sections.text(service[key]) for key, name in _SERVICE if sections.text(service.get(key))}
    return Resource(service_name=segment.name, service_version=version, attributes=attributes)


def _segment(document: dict[str, Any], trace_id: bytes, *, subsegment: bool) -> Segment:
    try:
        return _read(document, trace_id, subsegment=subsegment)
    except TooDeepError as error:
        raise _RefusedError("InvalidSegment", f"aws, metadata or annotations: {error}", _shown_id(document)) from None


def _read(document: dict[str, Any], trace_id: bytes, *, subsegment: bool) -> Segment:
    get = document.get
    raw_id = get("id")
    if raw_id is None or raw_id == "":
        raise _RefusedError("MissingId", "id is missing")
    segment_id = sections.span_id(raw_id)
    if not segment_id:
        raise _RefusedError("InvalidSegment", "id is not 16 hex digits, or zero")
    shown = f"{segment_id:016x}"
    name = get("name")
    if not isinstance(name, str) or not name:
        raise _RefusedError("MissingName", "name is missing", shown)
    if len(name) > MAX_NAME:
        raise _RefusedError("InvalidName", f"name has more than {MAX_NAME} characters", shown)
    start = sections.nanoseconds(get("start_time"))
    if start is None:
        raise _RefusedError("InvalidSegment", "start_time is not a time in epoch seconds", shown)
    in_progress = sections.flag(get("in_progress"))
    end = 0
    if not in_progress:
        ended = sections.nanoseconds(get("end_time"))
        if ended is None:
            raise _RefusedError("InvalidSegment", "neither end_time nor in_progress is given", shown)
        end = ended
    parent_id = 0
    if get("parent_id"):
        parent = sections.span_id(get("parent_id"))
        if parent is None:
            raise _RefusedError("InvalidSegment", "parent_id is not 16 hex digits", shown)
        parent_id = parent

    namespace = get("namespace") if subsegment else ""
    namespace = namespace if namespace in ("aws", "remote") else ""
    http, http_traced = sections.http(get("http"))
    aws = plain(get("aws"))
    annotations, unusable = sections.indexed(get("annotations"))
    segment = Segment(
        trace_id=trace_id,
        id=segment_id,
        parent_id=parent_id,
        name=name,
        start=start,
        end=end,
        kind=Kind.CLIENT if namespace else Kind.INTERNAL if subsegment else Kind.SERVER,
        subsegment=subsegment,
        namespace=namespace,
        error=sections.flag(get("error")),
        throttle=sections.flag(get("throttle")),
        fault=sections.flag(get("fault")),
        http=http,
        aws=aws if isinstance(aws, dict) else None,
        sql=sections.sql(get("sql")),
        cause=sections.cause(get("cause")),
        annotations=annotations,
        metadata=sections.metadata(get("metadata"), unusable),
        links=sections.links(get("links")),
        origin=sections.text(get("origin")),
        user=sections.text(get("user")),
        resource_arn=sections.text(get("resource_arn")),
        in_progress=in_progress,
        traced=sections.flag(get("traced")) or http_traced,
        precursor_ids=sections.precursor_ids(get("precursor_ids")),
    )
    _judge(segment, stated="error" in document or "fault" in document or "throttle" in document)
    segment.operation = _operation(segment)
    return segment


def _judge(segment: Segment, *, stated: bool) -> None:
    """Outcome from the HTTP status where the sender states none, or where an SDK calls every exception a fault.

    The AWS SDKs mark a caught ClientError as a fault even when the service answered 4xx; on a call the status decides.
    """
    status = segment.http.status if segment.http else 0
    if 400 <= status < 500 and (not stated or (segment.namespace and segment.fault)):
        segment.error, segment.fault = True, False
        segment.throttle = segment.throttle or status == 429
    elif 500 <= status < 600 and not stated:
        segment.fault = True


def _operation(segment: Segment) -> str:
    """What was done. Our own documents say it in `metadata.fluoro`, X-Ray's having no field for it."""
    metadata = segment.metadata or {}
    own = metadata.get("fluoro", {})
    if isinstance(own.get("operation"), str):
        operation = sections.text(own.pop("operation"))
        if not own:
            segment.metadata = {name: values for name, values in metadata.items() if name != "fluoro"} or None
        return operation
    return derived_operation(segment)


def derived_operation(segment: Segment) -> str:
    """What was done, as far as the sections of a document say it."""
    if segment.namespace == "aws" and segment.aws:
        return sections.text(segment.aws.get("operation"))
    if segment.sql is not None:
        verb = segment.sql.query.split(None, 1)[:1]
        return verb[0].upper() if verb and verb[0].isalpha() else ""
    if segment.http is not None and segment.http.method:
        try:
            path = urlsplit(segment.http.url).path
        except ValueError:
            path = ""
        return f"{segment.http.method} {path}".rstrip()
    return ""


def _shown_id(document: dict[str, Any]) -> str:
    segment_id = sections.span_id(document.get("id"))
    return f"{segment_id:016x}" if segment_id else ""
