"""How gRPC calls are recorded, on both sides: names, what counts as error, and the metadata that carries the trace.

Client: the span is named after the target, "payment:50051", its operation is "/shop.Payment/Charge". Server: the segment
is named after the service, with the same operation. Messages are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from fluoro import propagation
from fluoro.instrument import _http
from fluoro.model import Cause, ExceptionRecord, Kind
from fluoro.recorder import Span, new_span_id, recorder

MAX_METHOD = 200
OK, CANCELLED, UNKNOWN, RESOURCE_EXHAUSTED = 0, 1, 2, 8

# INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE,
# UNAUTHENTICATED: what HTTP says with a 4xx (google/rpc/code.proto maps them).
_CALLERS_FAULT = frozenset({3, 5, 6, 7, 9, 10, 11, 16})

# Sending traces is no work of the application: fluoro's own calls, and an OpenTelemetry exporter beside it.
_EXPORTS = ("/fluoro.v1.", "/opentelemetry.proto.collector.")


def is_traced(method: str) -> bool:
    return not method.startswith(_EXPORTS)


# --- client ---


def call_span(target: str | bytes, method: str) -> Span:
    """Begin a call. It does not become the current span: a call ends where its answer is read, or in gRPC's thread."""
    span = recorder.start(target_name(target), method[:MAX_METHOD], Kind.CLIENT, "remote", above=recorder.current())
    if span.recording:
        span.segment.annotations = {"rpc.system": "grpc"}
    return span


def with_trace(metadata: Iterable[tuple[str, Any]] | None, span: Span) -> tuple[tuple[str, Any], ...]:
    """The call's metadata with the trace's headers, in place of older ones."""
    ours = {name.lower(): value for name, value in _http.outgoing_headers(span).items()}
    if not metadata:
        return tuple(ours.items())
    return (*((key, value) for key, value in metadata if key not in ours), *ours.items())


@lru_cache(maxsize=1024)
def target_name(target: str | bytes) -> str:
    """`dns:///payment:50051` → "payment:50051"; of a socket its path."""
    text = target.decode("utf-8", "replace") if isinstance(target, bytes) else target
    scheme, colon, rest = text.partition(":")
    if colon and scheme in ("dns", "ipv4", "ipv6", "xds", "passthrough"):
        text = rest.rpartition("/")[2]
    elif scheme in ("unix", "unix-abstract"):
        return rest[:MAX_METHOD].removeprefix("//")
    return _http.host_name("https", text[:MAX_METHOD])


# --- server ---


def served_span(method: str, metadata: Iterable[tuple[str, Any]]) -> Span:
    """Begin to serve a call whose request came with `metadata`. The segment is current until it ends."""
    headers = dict(metadata)

    def header(name: str) -> str | None:
        value = headers.get(name.lower())
        return value if isinstance(value, str) else None

    span = recorder.begin_segment(method[:MAX_METHOD], Kind.SERVER, propagation.extract(header))
    if span.recording:
        span.segment.annotations = {"rpc.system": "grpc"}
    return span


# --- both ---


def end(span: Span, code: int, details: str = "", error: BaseException | None = None) -> None:
    """The call ended with the status `code`. The cause of a fault is `error`, or else `details`. A cancelled call is
    no fault.
    """
    if span.recording:
        segment = span.segment
        span.annotate("rpc.grpc.status_code", code)
        if code == RESOURCE_EXHAUSTED:
            segment.error = segment.throttle = True
        elif code in _CALLERS_FAULT:
            segment.error = True
        elif code not in (OK, CANCELLED):
            segment.fault = True
        if segment.error or segment.fault:
            if error is not None:
                span.record_exception(error, remote=segment.kind is Kind.CLIENT)
            elif segment.fault:
                remote = segment.kind is Kind.CLIENT
                segment.cause = Cause(
                    [ExceptionRecord(f"{new_span_id():016x}", "grpc.StatusCode", details[:2_048], remote)]
                )
    span.end()
