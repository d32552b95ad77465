"""How HTTP is recorded, on both sides: names, operations, what counts as error, and which headers carry the trace.

Client: the span is named after the callee ("payment:8003", the port only when it is not the scheme's own), its
operation is the method. Server: the segment is named after the service, its operation is "METHOD /route/{template}",
never the path as it was asked for: that would be a new operation for every order number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, NamedTuple

from fluoro import propagation
from fluoro.context import current_node
from fluoro.model import Http, Kind, Segment
from fluoro.recorder import SERVER, Span, is_unrecorded, recorder

MAX_URL = 2_000  # characters of a recorded URL
MAX_AUTHORITY = (
    262  # a host name has at most 253 characters; what is longer leads nowhere, and would be kept in a cache
)
MAX_USER_AGENT = 250  # X-Ray's limit
UNMATCHED = "unmatched"
INTERNAL_ERROR = 1011  # the websocket close code of a server that cannot go on, RFC 6455 §7.4.1
WEBSOCKET = "WS"  # in the place of the method, for a connection that became a websocket

_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_CALLS = (Kind.CLIENT, Kind.PRODUCER)
_TRACE_HEADERS = frozenset(name.lower() for name in (propagation.XRAY, propagation.TRACEPARENT, propagation.TRACESTATE))
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "QUERY"})


def record_status(segment: Segment, status: int) -> None:
    """X-Ray's classes: 5xx a fault, 429 throttled and an error, any other 4xx an error."""
    if status >= 500:
        segment.fault = True
    elif status >= 400:
        segment.error = True
        segment.throttle = segment.throttle or status == 429


def content_length(value: object) -> int:
    """A Content-Length header's value; -1 when there is none or it is no number."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19 else -1


# --- client ---


def client_span(method: str, url: str, headers: MutableMapping[str, Any]) -> Span:
    """Begin a call to another service and put the trace into its request headers, replacing what was there.

    `headers` ignores the case of names, as the types of requests, httpx and aiohttp do.
    """
    span = begin_client(method, url)
    if propagation.TRACESTATE in headers:  # the other two are always replaced
        del headers[propagation.TRACESTATE]
    for key, value in outgoing_headers(span).items():
        headers[key] = value
    return span


def begin_client(method: str, url: str) -> Span:
    """Begin a call to another service; whoever asks puts `outgoing_headers` into the request."""
    name, url = target(url)
    span = recorder.begin(name, method, Kind.CLIENT, "remote")
    if span.recording:
        span.segment.http = Http(method, url)
    return span


def start_client(method: str, url: str) -> Span:
    """Like `begin_client`, for a call that ends elsewhere: the span does not become current."""
    name, url = target(url)
    span = recorder.start(name, method, Kind.CLIENT, "remote", above=recorder.current())
    if span.recording:
        span.segment.http = Http(method, url)
    return span


def is_part_of_call(header: object) -> bool:
    """Whether a request whose `X-Amzn-Trace-Id` is `header` (None: it has none) gets no span of its own.

    Libraries wrap each other, and the outermost makes the span. It puts its header into the request, so a layer below, a
    retry and a redirect bring the header of the very call that is current. What is called on the side (a token for an
    authentication hook) does not, and is a call of its own. Below a call to AWS everything is part of that call.
    Fluoro's own calls are left alone as well.
    """
    span = recorder.current()
    if span is None:
        return False
    if is_unrecorded(span):
        return True
    if span.ended:  # a task started in a call that is over
        return False
    segment = span.segment
    if segment.namespace == "aws" and span.recording:
        return True
    # An unsampled span has the ids of the one above it, so its kind is not known, and nothing would be recorded anyway.
    if header is None or not (segment.kind in _CALLS or not span.recording):
        return False
    return header == xray_header(span)


def with_trace(headers: Mapping[Any, Any] | None, span: Span) -> Any:
    """A copy of `headers`, of their own type, that carries the trace of `span` and no other."""
    copy: Any = {} if headers is None else headers.copy() if hasattr(headers, "copy") else dict(headers)
    if not isinstance(copy, MutableMapping):
        copy = dict(copy)
    for key in [key for key in copy if isinstance(key, str) and key.lower() in _TRACE_HEADERS]:
        copy.pop(key, None)
    for key, value in outgoing_headers(span).items():
        copy[key] = value
    return copy


def end_client(span: Span, status: int, length: object) -> None:
    """The call was answered."""
    if span.recording:
        http = span.segment.http
        if http is not None:
            http.status, http.content_length = status, content_length(length)
        record_status(span.segment, status)
    span.end()


def fail_client(span: Span, error: BaseException, status: int | None = None) -> None:
    """The call raised. An error that carries the answer (`raise_for_status` in a hook) is judged by its `status`; a
    cancelled call is no fault.
    """
    if status is None:
        status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int) and 400 <= status < 600:
        span.record_exception(error)
        end_client(span, status, None)
        return
    if isinstance(error, Exception):
        span.fail(error)
    span.end()


def target(url: str) -> tuple[str, str]:
    """The callee's name, and the URL without credentials, query and fragment."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "unknown", ""
    authority, slash, path = rest.partition("#")[0].partition("?")[0].partition("/")
    authority = authority.rpartition("@")[2][:MAX_AUTHORITY]
    return host_name(scheme, authority), f"{scheme}://{authority}{slash}{path}"[:MAX_URL]


def url_of(scheme: str, host: str, port: int | None, path: str) -> str:
    """The URL of a request on a connection; `host` may be an IPv6 address without brackets."""
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return (
        f"{scheme}://{host}:{port}{path}"
        if port and str(port) != _DEFAULT_PORTS.get(scheme)
        else f"{scheme}://{host}{path}"
    )


@lru_cache(maxsize=1024)
def host_name(scheme: str, authority: str) -> str:
    """`host`, or `host:port` for a port that is not the scheme's own; brackets of IPv6 go, X-Ray's names have none."""
    host, colon, port = authority.lower().rpartition(":")
    if not colon or not port.isdigit():
        host, port = authority.lower(), ""
    host = host.strip("[]") or "unknown"
    return f"{host}:{port}" if port and port != _DEFAULT_PORTS.get(scheme.lower()) else host


def outgoing_headers(span: Span) -> dict[str, str]:
    """Both trace headers (and `tracestate`) for a request made in `span`."""
    segment, trace = span.segment, span.trace
    return propagation.inject(segment.trace_id, segment.id, trace.sampled, trace.trace_state, trace.extras)


def xray_header(span: Span) -> str:
    """`X-Amzn-Trace-Id` alone: what AWS forwards."""
    segment, trace = span.segment, span.trace
    return propagation.write_xray(segment.trace_id, segment.id, trace.sampled, trace.extras)


# --- server ---


class HeaderNames(NamedTuple):
    """What a protocol calls the headers that every request is asked for."""

    trace: tuple[Any, Any, Any]
    host: Any
    forwarded: Any
    agent: Any


HTTP_NAMES = HeaderNames(propagation.HEADERS, "Host", "X-Forwarded-For", "User-Agent")


def server_span(
    method: str, url: str, get: Callable[[Any], str | None], peer: str, names: HeaderNames = HTTP_NAMES
) -> Span:
    """Begin to serve a request. `get` reads its headers by `names`, `peer` is the address of the connection's other end."""
    trace, host, forwarded, agent = names
    naming = recorder.naming
    name = naming(get(host) or "") if naming is not None else ""
    parent = propagation.extract(get, trace)
    span = recorder.begin_segment(method if method in _METHODS else "OTHER", SERVER, parent, name, method, url)
    if span.recording:
        via = get(forwarded)
        if via:
            via = via.partition(",")[0].strip()
        client = get(agent) or ""
        if len(url) > MAX_URL:
            url = url[:MAX_URL]
        span.segment.http = Http(method[:32], url, 0, -1, client[:MAX_USER_AGENT], (via or peer)[:64], bool(via))
    return span


def is_quiet(span: Span) -> bool:
    """Whether nothing of the answer matters: the request is not recorded, its caller does not ask for our decision, and no
    sampling rule counts its faults.
    """
    trace = span.trace
    decision = trace.decision
    return not (trace.recording or trace.asked or (decision is not None and decision.anomalous is not None))


def serving(node: Any) -> Span | None:
    """The segment of the request that is being served where `node` is current, if nothing was begun inside it yet: an
    application that is called there is a part of it, whatever protocol leads from one to the other.
    """
    span: Span | None = None if node is None else node.span
    if span is None or span.ended or span.segment.subsegment or span.segment.kind is not Kind.SERVER:
        return None
    return span


def note_route(span: Span | None, route: str) -> None:
    """Somebody inside the request `span` matched `route` (a template). The last one, the innermost, counts."""
    if span is not None and span.recording:
        http = span.segment.http
        if http is not None:
            http.route = route


def record_answer(span: Span, method: str, route: str, status: int, length: object) -> None:
    """What is known when a request was answered; `route` is its template, "" when no route matched it. One that was
    noted with `note_route` goes before.
    """
    decision = span.trace.decision
    if decision is not None and decision.anomalous is not None and status >= 500:
        decision.anomalous()
    if not span.recording:
        return
    segment = span.segment
    http = segment.http
    if http is not None:
        route = http.route or route
        http.status = status
        http.route = route
        if length is not None:
            http.content_length = content_length(length)
    segment.operation = f"{method if method == WEBSOCKET else known_method(method)} {route or UNMATCHED}"
    if status >= 400:
        record_status(segment, status)


def answer_header(span: Span) -> str | None:
    """`X-Amzn-Trace-Id` for the response, when the caller asked for our decision with `Sampled=?`."""
    if not span.trace.asked:
        return None
    return propagation.write_xray_answer(span.segment.trace_id, span.trace.sampled, asked=True)


def known_method(method: str) -> str:
    """The method; "OTHER" for what is none, so that a stranger cannot invent operations."""
    return method if method in _METHODS else "OTHER"


def end_keeping_current(span: Span) -> None:
    """End `span`; what the request does afterwards (background tasks) still belongs to it, if it was current."""
    current = current_node.get() is span
    span.end()
    if current:
        current_node.set(span)


def first_value(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first header called `name` (lower case) of a WSGI response."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None
