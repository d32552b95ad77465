"""Segments → X-Ray segment documents, as AWS returns them. The reading direction is the
collector's `decode.xray`. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fluoro.aws_resource import section_of
from fluoro.model import Cause, ExceptionRecord, Http, Resource, Segment, Sql

_SECOND = 1_000_000_000
# Resource attribute → key of a segment's `service`.
_SERVICE = (
    ("process.runtime.name", "runtime"),
    ("process.runtime.version", "runtime_version"),
    ("process.compiler.name", "compiler"),
    ("process.compiler.version", "compiler_version"),
)
_SQL = ("connection_string", "url", "database_type", "database_version", "driver_version", "user", "preparation")


def to_document(
    segment: Segment,
    resource: Resource,
    children: Iterable[dict[str, Any]] = (),
    *,
    nested: bool = False,
    operation: str = "",
) -> dict[str, Any]:
    """The document of `segment`, ready for a JSON encoder.

    `children` are documents made with `nested=True`: they leave out trace id, parent id and type, which their place
    says. A section that is empty stays, as X-Ray gives it back. Times are seconds with a fraction; a double keeps them to the microsecond.
    What X-Ray has no field for (kind, operation, route, events other than exceptions, trace state) is not written, but
    for `operation`, which goes into `metadata.fluoro`; the collector reads it there.
    """
    document: dict[str, Any] = {"id": f"{segment.id:016x}", "name": segment.name, "start_time": _seconds(segment.start)}
    if not nested:
        document["trace_id"] = trace_id(segment.trace_id)
        if segment.parent_id:
            document["parent_id"] = f"{segment.parent_id:016x}"
        if segment.subsegment:
            document["type"] = "subsegment"
    if segment.in_progress:
        document["in_progress"] = True
    else:
        document["end_time"] = _seconds(segment.end)
    for flag in ("error", "throttle", "fault", "traced"):
        if getattr(segment, flag):
            document[flag] = True
    for text in ("namespace", "origin", "user", "resource_arn"):
        if getattr(segment, text):
            document[text] = getattr(segment, text)
    aws = dict(segment.aws or {})
    if not segment.subsegment:
        service = _service(resource)
        if service:
            document["service"] = service
        known = section_of(resource.attributes, segment.origin)
        for key, value in known.items():
            ours = aws.get(key)
            aws[key] = value | ours if isinstance(value, dict) and isinstance(ours, dict) else ours or value
    if aws or segment.aws is not None:
        document["aws"] = aws
    if segment.http is not None:
        document["http"] = _http(segment.http)
    if segment.sql:
        document["sql"] = _sql(segment.sql)
    if segment.cause:
        document["cause"] = _cause(segment.cause)
    if segment.annotations:
        document["annotations"] = segment.annotations
    metadata = segment.metadata
    if operation:
        metadata = {**(metadata or {}), "fluoro": {**(metadata or {}).get("fluoro", {}), "operation": operation}}
    if metadata is not None:
        document["metadata"] = metadata
    if segment.links:
        document["links"] = [
            {
                "trace_id": trace_id(link.trace_id),
                "id": f"{link.id:016x}",
                **({"attributes": link.attributes} if link.attributes else {}),
            }
            for link in segment.links
        ]
    if segment.precursor_ids:
        document["precursor_ids"] = [f"{precursor:016x}" for precursor in segment.precursor_ids]
    below = list(children)
    if below:
        document["subsegments"] = below
    return document


def trace_id(value: bytes) -> str:
    """`1-8hex-24hex`: 35 characters, for every 16-byte id."""
    text = value.hex()
    return f"1-{text[:8]}-{text[8:]}"


def _seconds(nanoseconds: int) -> float:
    # Whole microseconds before the division: the quotient is then the double nearest to the decimal that is meant.
    return (nanoseconds // 1_000) / 1_000_000


def _service(resource: Resource) -> dict[str, Any]:
    found = {"version": resource.service_version} if resource.service_version else {}
    return found | {key: resource.attributes[name] for name, key in _SERVICE if name in resource.attributes}


def _http(http: Http) -> dict[str, Any]:
    request = {
        "method": http.method,
        "url": http.url,
        "user_agent": http.user_agent,
        "client_ip": http.client_ip,
        "x_forwarded_for": http.x_forwarded_for,
    }
    response = {"status": http.status} if http.status else {}
    if http.content_length >= 0:
        response["content_length"] = http.content_length
    sections = {"request": {key: value for key, value in request.items() if value}, "response": response}
    return {key: section for key, section in sections.items() if section}


def _sql(sql: Sql) -> dict[str, Any]:
    found = {key: getattr(sql, key) for key in _SQL if getattr(sql, key)}
    return found | ({"sanitized_query": sql.query} if sql.query else {})


def _cause(cause: Cause) -> str | dict[str, Any]:
    if cause.ref and not cause.exceptions and not cause.working_directory and not cause.paths:
        return cause.ref
    found: dict[str, Any] = {}
    if cause.working_directory:
        found["working_directory"] = cause.working_directory
    if cause.paths:
        found["paths"] = cause.paths
    if cause.ref:
        found["id"] = cause.ref
    found["exceptions"] = [_exception(record) for record in cause.exceptions]
    return found


def _exception(record: ExceptionRecord) -> dict[str, Any]:
    found: dict[str, Any] = {
        key: getattr(record, key)
        for key in ("id", "type", "message", "remote", "cause", "truncated", "skipped")
        if getattr(record, key)
    }
    if record.stack:
        found["stack"] = [{"path": frame.path, "line": frame.line, "label": frame.label} for frame in record.stack]
    return found
