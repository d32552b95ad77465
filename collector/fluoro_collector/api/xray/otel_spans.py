"""A stored segment as an OpenTelemetry span in JSON: ListRetrievedTraces with TraceFormat OTEL. Pure."""

from __future__ import annotations

import json
from typing import Any

from fluoro.model import Cause, Event, Kind, Link, Resource
from fluoro_collector.store.segments import Row


def to_span(row: Row, resource: Resource) -> dict[str, Any]:
    """One span, with attributes as an object and names from OpenTelemetry's stable conventions.

    Where a segment has no field of a span: `operation` is the name of the span and the segment's own name is in
    `aws.xray.segment.name` if it says something else; `aws` becomes `aws.KEY`; the namespace of metadata stands before its
    keys, except "default", which is where attributes go that were not indexed; a throttle is `aws.xray.throttle`.
    Times are epoch nanoseconds. A span in progress has no end.
    """
    segment = row.segment
    span: dict[str, Any] = {
        "resource": {"attributes": _resource(resource, row.service)},
        "traceId": segment.trace_id.hex(),
        "spanId": f"{segment.id:016x}",
        "name": segment.operation or segment.name,
        "kind": Kind(segment.kind).name,
        "startTimeUnixNano": segment.start,
        "attributes": _attributes(row),
        "status": _status(row),
    }
    if segment.parent_id:
        span["parentSpanId"] = f"{segment.parent_id:016x}"
    if not segment.in_progress:
        span["endTimeUnixNano"] = segment.end
        span["durationNano"] = max(segment.end - segment.start, 0)
    if segment.trace_state:
        span["traceState"] = segment.trace_state
    events = [_event(event) for event in segment.events or ()]
    events += _exceptions(segment.cause, segment.end or segment.start)
    if events:
        span["events"] = events
    if segment.links:
        span["links"] = [_link(link) for link in segment.links]
    return span


def _resource(resource: Resource, service: str) -> dict[str, Any]:
    named = {
        "service.name": service or resource.service_name,
        "service.version": resource.service_version,
        "deployment.environment.name": resource.environment,
        "host.name": resource.host,
    }
    return {**resource.attributes, **{key: value for key, value in named.items() if value}}


def _attributes(row: Row) -> dict[str, Any]:
    segment = row.segment
    found: dict[str, Any] = {}
    for namespace, values in (segment.metadata or {}).items():
        prefix = "" if namespace == "default" else f"{namespace}."
        found.update({f"{prefix}{key}": value for key, value in values.items()})
    found.update({f"aws.{key}": value for key, value in (segment.aws or {}).items()})
    found.update(segment.annotations or {})
    known: dict[str, Any] = {
        "aws.xray.origin": segment.origin,
        "aws.xray.resource_arn": segment.resource_arn,
        "aws.xray.throttle": segment.throttle,
        "aws.xray.segment.name": segment.name if segment.operation not in ("", segment.name) else "",
        "enduser.id": segment.user,
        "peer.service": row.peer_name if segment.subsegment else "",
    }
    if http := segment.http:
        outgoing = segment.kind in (Kind.CLIENT, Kind.PRODUCER)
        known |= {
            "http.request.method": http.method,
            "url.full": http.url,
            "http.response.status_code": http.status,
            "http.route": http.route,
            "user_agent.original": http.user_agent,
            "network.peer.address" if outgoing else "client.address": http.client_ip,
            "http.response.body.size": max(http.content_length, 0),
        }
    if sql := segment.sql:
        known |= {
            "db.system.name": sql.database_type,
            "db.query.text": sql.query,
            "db.user": sql.user,
            "db.connection_string": sql.connection_string or sql.url,
        }
    return found | {key: value for key, value in known.items() if value}


def _status(row: Row) -> dict[str, str]:
    segment = row.segment
    if not (segment.fault or segment.error):
        return {"code": "UNSET"}
    exceptions = segment.cause.exceptions if segment.cause else ()
    message = next((exception.message for exception in exceptions if exception.message), "")
    return {"code": "ERROR", **({"message": message} if message else {})}


def _event(event: Event) -> dict[str, Any]:
    return {"name": event.name, "timeUnixNano": event.time, "attributes": event.attributes or {}}


def _exceptions(cause: Cause | None, time: int) -> list[dict[str, Any]]:
    return [
        {
            "name": "exception",
            "timeUnixNano": time,
            "attributes": {
                "exception.type": exception.type,
                "exception.message": exception.message,
                "exception.stacktrace": json.dumps(
                    [[frame.path, frame.line, frame.label] for frame in exception.stack]
                ),
            },
        }
        for exception in (cause.exceptions if cause else ())
    ]


def _link(link: Link) -> dict[str, Any]:
    return {"traceId": link.trace_id.hex(), "spanId": f"{link.id:016x}", "attributes": link.attributes or {}}
