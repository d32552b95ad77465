"""OpenTelemetry attributes → the fields of a segment: the one place where that translation is written.

`fluoro.otel` uses it when a span ends, the collector's OTLP decoder for each span it reads. Pure. Old and stable names
of the semantic conventions are both read. What a field carries is taken out of the attributes; every attribute left
over becomes an annotation, or metadata if it cannot be one.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from fluoro.model import Cause, ExceptionRecord, Http, Kind, Segment
from fluoro.otel.peers import address, aws, database, is_aws, message_source, remote_name, remote_service

MAX_NAME = 200
MAX_ANNOTATIONS = 200
MAX_KEY = 500
MAX_VALUE = 1_000

_SERVER, _CLIENT, _PRODUCER, _CONSUMER = Kind.SERVER, Kind.CLIENT, Kind.PRODUCER, Kind.CONSUMER

_HTTP = frozenset(
    {"http.request.method", "http.method", "http.response.status_code", "http.status_code", "http.url", "http.target"}
)
_USER = frozenset({"enduser.id", "user.id"})

# Error codes by which AWS says "slow down" with a status other than 429.
_THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


def is_segment(kind: int, parent_id: int, parent_is_remote: bool) -> bool:
    """Whether a span is the entry of a service: a SERVER or CONSUMER, or work (no call) without a parent of its own
    process.
    """
    if kind in (_SERVER, _CONSUMER):
        return True
    return kind == Kind.INTERNAL and (parent_id == 0 or parent_is_remote)


def apply(segment: Segment, span_name: str, attributes: dict[str, Any], service_name: str, failed: bool) -> None:
    """Fill `segment` from its span's name and attributes; `failed` is a span status of ERROR.

    `kind`, `subsegment`, ids and times must be set. `attributes` is consumed: the dict becomes the annotations. Values
    are str, bool, int, float, or anything JSON can carry.
    """
    kind = segment.kind
    if segment.annotations:
        attributes = segment.annotations | attributes
    # Elasticsearch's client calls a database in a span of kind INTERNAL.
    outgoing = kind in (_CLIENT, _PRODUCER) or (
        kind == Kind.INTERNAL and ("db.system.name" in attributes or "db.system" in attributes)
    )
    if not _HTTP.isdisjoint(attributes):
        _http(segment, attributes, kind)
    if segment.subsegment:
        if outgoing:
            _outgoing(segment, span_name, attributes)
        else:
            segment.name = span_name
    else:
        segment.name = service_name
        segment.operation = span_name
        if kind == _CONSUMER:
            segment.aws = message_source(attributes)
        elif "faas.invocation_id" in attributes or "faas.execution" in attributes:
            segment.aws = {"request_id": pop(attributes, "faas.invocation_id", "faas.execution")}
            segment.resource_arn = pop(attributes, "aws.lambda.invoked_arn", "cloud.resource_id", "faas.id")
    if not segment.user and not _USER.isdisjoint(attributes):
        segment.user = pop(attributes, "enduser.id", "user.id")
    _outcome(segment, attributes, failed)
    metadata = _unindexable(attributes)
    if not segment.name:
        segment.name = "span"
    elif len(segment.name) > MAX_NAME:
        metadata["otel.span.name" if segment.name == span_name else "otel.peer.name"] = segment.name
        segment.name = segment.name[:MAX_NAME]
    if metadata:
        if segment.metadata is None:
            segment.metadata = {"default": metadata}
        else:
            segment.metadata.setdefault("default", {}).update(metadata)
    segment.annotations = attributes or None


def explain(segment: Segment, message: str) -> None:
    """A cause for a failure of which only a message is known: the text of a status of ERROR."""
    kind = (segment.annotations or {}).get("error.type")
    segment.cause = Cause(
        [
            ExceptionRecord(
                # Must differ within the trace, and be the same when the span is sent again.
                id=f"{(segment.id + 1) & 0xFFFF_FFFF_FFFF_FFFF:016x}",
                type=kind if isinstance(kind, str) else "",
                message=message,
                remote=segment.kind in (_CLIENT, _PRODUCER),
            )
        ]
    )


def from_bytes(value: bytes) -> dict[str, str]:
    """A bytes value as JSON can carry it, and told apart from a string: `{"base64": …}`."""
    return {"base64": b64encode(value).decode()}


def pop(attributes: dict[str, Any], *keys: str) -> str:
    """Take out the first of `keys` that holds a non-empty string (or a number, as text); "" if there is none."""
    for key in keys:
        value = attributes.get(key)
        if value.__class__ is str or value.__class__ is int:
            del attributes[key]
            if value != "":
                return str(value)
    return ""


def pop_int(attributes: dict[str, Any], *keys: str, missing: int = 0) -> int:
    """Take out the first of `keys` that holds an integer, also as text or in a one-element list (captured headers)."""
    for key in keys:
        value = attributes.get(key)
        if value.__class__ is list and len(value) == 1:
            value = value[0]
        if value.__class__ is str and value.isascii() and value.isdigit() and len(value) < 19:
            value = int(value)
        if value.__class__ is int and value >= 0:
            del attributes[key]
            return int(value)
    return missing


def _outgoing(segment: Segment, span_name: str, attributes: dict[str, Any]) -> None:
    if is_aws(attributes):
        segment.namespace = "aws"
        segment.name, segment.operation, segment.aws = aws(span_name, attributes)
        return
    segment.namespace = "remote"
    segment.operation = span_name
    chosen = pop(attributes, "peer.service", "service.peer.name") or remote_service(attributes)
    if "db.system.name" in attributes or "db.system" in attributes:
        found, segment.sql = database(attributes)
        segment.name = chosen or found
        return
    segment.name = chosen or remote_name(attributes, segment.http.url if segment.http else "") or span_name
    if segment.http is not None and segment.http.url:
        # The URL says these too.
        for key in ("server.address", "server.port", "net.peer.name", "net.peer.port", "http.host", "http.scheme"):
            attributes.pop(key, None)


def _http(segment: Segment, attributes: dict[str, Any], kind: Kind) -> None:
    method = pop(attributes, "http.request.method", "http.method")
    if method == "_OTHER":
        method = pop(attributes, "http.request.method_original") or method
    http = Http(
        method=method,
        url=without_credentials(pop(attributes, "url.full", "http.url")),
        status=min(pop_int(attributes, "http.response.status_code", "http.status_code"), 999),
        content_length=pop_int(
            attributes,
            "http.response.body.size",
            "http.response_content_length",
            "http.response.header.content-length",
            missing=-1,
        ),
        user_agent=pop(attributes, "user_agent.original", "http.user_agent"),
        route=pop(attributes, "http.route"),
    )
    if kind == _SERVER:
        http.client_ip = pop(attributes, "client.address", "http.client_ip")
        peer = (
            attributes.get("network.peer.address")
            or attributes.get("net.sock.peer.addr")
            or attributes.get("net.peer.ip")
        )
        if http.client_ip:
            # The address came from a header unless it is the connection's own.
            http.x_forwarded_for = peer != http.client_ip
        elif isinstance(peer, str):
            http.client_ip = peer
        if not http.url:
            http.url = _served_url(attributes)
    elif not http.url and kind == _CLIENT and "http.target" in attributes:
        host = address(attributes)
        target = pop(attributes, "http.target")
        http.url = f"{pop(attributes, 'http.scheme') or 'http'}://{host}{target}" if host else target
    segment.http = http


def _served_url(attributes: dict[str, Any]) -> str:
    """The URL of a served request from its parts; only the path when the host is unknown."""
    scheme = pop(attributes, "url.scheme", "http.scheme")
    path = pop(attributes, "url.path", "http.target")
    query = pop(attributes, "url.query")
    host = pop(attributes, "server.address", "http.host", "net.host.name")
    port = pop_int(attributes, "server.port", "net.host.port")
    if query:
        path = f"{path}?{query}"
    if not host:
        return path
    scheme = scheme or "http"
    if port and port != (443 if scheme == "https" else 80) and not host.endswith(f":{port}"):
        host = f"[{host}]:{port}" if ":" in host and host[0] != "[" else f"{host}:{port}"
    return f"{scheme}://{host}{path}"


def without_credentials(url: str) -> str:
    """`url` without "user:password@"."""
    if "@" not in url:
        return url
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    end = next((i for i, character in enumerate(rest) if character in "/?#"), len(rest))
    authority = rest[:end]
    return f"{scheme}://{authority.rpartition('@')[2]}{rest[end:]}"


def _outcome(segment: Segment, attributes: dict[str, Any], failed: bool) -> None:
    """The HTTP status decides; without a failing one a status of ERROR is a fault."""
    status = segment.http.status if segment.http else 0
    if 400 <= status < 500:
        segment.error = True
        segment.throttle = status == 429 or (segment.namespace == "aws" and _is_throttle(attributes))
    elif status >= 500:
        segment.fault = True
        if status == 503 and segment.namespace == "aws" and _is_throttle(attributes):
            segment.fault, segment.error, segment.throttle = False, True, True
    elif failed:
        segment.fault = True


def _is_throttle(attributes: dict[str, Any]) -> bool:
    return attributes.get("error.type") in _THROTTLES or attributes.get("aws.error.code") in _THROTTLES


def _unindexable(attributes: dict[str, Any]) -> dict[str, Any]:
    """Takes out of `attributes` what cannot be an annotation, and returns it."""
    moved = [
        key
        for key, value in attributes.items()
        if not (
            (value.__class__ is str and len(value) <= MAX_VALUE)
            or value.__class__ is int
            or value.__class__ is bool
            or value.__class__ is float
        )
        or len(key) > MAX_KEY
    ]
    if len(attributes) - len(moved) > MAX_ANNOTATIONS:
        already = set(moved)
        moved += [key for key in attributes if key not in already][MAX_ANNOTATIONS:]
    return {key: attributes.pop(key) for key in moved}
