"""AWS Lambda, every Python runtime: one segment for each invocation, sent before the runtime may freeze the process.

Named after the function, of origin AWS::Lambda::Function, with the request id, the function's ARN, `cold_start`, and what
the event says about its source (`_lambda_events`). An HTTP response's status counts; so do items that a batch handler
reports as failed. Shortly before the function's deadline the segment is sent as a fault in progress: if Lambda kills the
process, that is what remains, otherwise the complete one replaces it.

The handler is wrapped where the runtime looks it up, so it needs no change; `fluoro.lambda_handler` is the same as a
decorator, for custom runtimes. A Lambda function of other frameworks inside (Mangum, serverless-wsgi) has one segment:
this one, with the framework's route.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeVar, cast

import msgspec

from fluoro import propagation
from fluoro.instrument import _http, _lambda_events, _messaging
from fluoro.instrument._guarded import guarded
from fluoro.instrument._lambda_events import Source
from fluoro.model import Cause, ExceptionRecord, Kind
from fluoro.propagation import Parent
from fluoro.recorder import Span, new_span_id, recorder, seed

ORIGIN = "AWS::Lambda::Function"
FLUSH_S = 1.0  # how long an invocation may wait for the collector to take its spans
IMPATIENT_S = 0.05  # the same after the collector was late once: they are kept, and sent with later ones
DEADLINE_MARGIN_S = 0.5  # before the function's time-out

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


def patch(module: ModuleType) -> None:
    """`module` is the runtime's, awslambdaric.bootstrap."""
    from fluoro.instrument import _patch

    _patch.wrap(module, "_get_handler", lambda original, name: traced(original(name)))
    _reseed_after_restore()


def traced(handler: _Handler) -> _Handler:
    """`handler(event, context)` in a segment; what was traced already comes back as it is."""
    if getattr(handler, "__fluoro_traced__", False):
        return handler

    @functools.wraps(handler)
    def traced_handler(event: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        invocation = _begin(event, context) if recorder.sink is not None else None
        try:
            result = handler(event, context, *args, **kwargs)
        except BaseException as error:
            if invocation is not None:
                invocation.end(None, error)
            raise
        if invocation is not None:
            invocation.end(result, None)
        return result

    traced_handler.__fluoro_traced__ = True  # type: ignore[attr-defined]
    return cast("_Handler", traced_handler)


class _Invocation:
    def __init__(self, source: Source, span: Span, context: Any) -> None:
        self._source = source
        self._span = span
        left_s = _remaining_s(context)
        self._alarm: threading.Timer | None = None
        if span.recording and left_s > 2 * DEADLINE_MARGIN_S:
            self._alarm = threading.Timer(left_s - DEADLINE_MARGIN_S, self._overdue, (left_s,))
            self._alarm.daemon = True
            self._alarm.start()

    @guarded
    def end(self, result: object, error: BaseException | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        span, source = self._span, self._source
        if isinstance(error, Exception):
            span.fail(error)
        if source.http is not None:
            status = 500 if error is not None else _status(result)
            _http.record_answer(span, source.http.method, source.route, status, None)
        elif isinstance(result, Mapping) and result.get("batchItemFailures") and span.recording:
            failed = result["batchItemFailures"]
            span.annotate("failed_items", len(failed) if isinstance(failed, list) else 1)
            span.segment.fault = True
        span.end()
        _flush()

    @guarded
    def _overdue(self, allowed_s: float) -> None:
        """In the timer's thread: send the segment as it is, a fault; the process may have half a second left."""
        span = self._span
        if not span.recording or recorder.sink is None:
            return
        reason = f"still running {DEADLINE_MARGIN_S:g} s before the function's deadline of {allowed_s:.1f} s"
        cause = Cause([ExceptionRecord(f"{new_span_id():016x}", "TimeoutError", reason)])
        recorder.sink(msgspec.structs.replace(span.segment, in_progress=True, fault=True, cause=cause))
        if recorder.flush is not None:
            recorder.flush(DEADLINE_MARGIN_S)


_cold = True
_patience_s = FLUSH_S


@guarded
def _begin(event: object, context: Any) -> _Invocation | None:
    global _cold  # noqa: PLW0603
    source = _lambda_events.read(event)
    span = _span(source)
    if span.recording:
        segment = span.segment
        segment.origin = source.origin or ORIGIN
        segment.http = source.http
        segment.aws = {**source.aws, "request_id": str(getattr(context, "aws_request_id", ""))}
        segment.resource_arn = str(getattr(context, "invoked_function_arn", ""))
        initialized = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        span.annotate("cold_start", _cold and initialized == "on-demand")
    _cold = False
    return _Invocation(source, span, context)


def _span(source: Source) -> Span:
    operation = source.operation if source.http is None else _http.known_method(source.http.method)
    known = [parent for parent in source.parents if parent is not None]
    if len(source.parents) > 1:
        return _messaging.batch_span(operation, source.parents, dict(source.aws))
    parent = known[0] if known else _runtime_caller()
    if source.http is None:
        return recorder.begin_segment(operation, source.kind, parent)
    http = source.http
    return recorder.begin_segment(operation, Kind.SERVER, parent, "", http.method, http.url)


def _runtime_caller() -> Parent | None:
    """What the runtime says of this invocation. Its `Sampled=0` counts as undecided: that is what a function gets for which
    X-Ray's own tracing is off, whoever called it.
    """
    parent = propagation.parse_xray(os.environ.get(propagation.ENV_XRAY, ""))
    return parent._replace(sampled=None) if parent is not None and parent.sampled is False else parent


def _flush() -> None:
    global _patience_s  # noqa: PLW0603
    if recorder.flush is not None:
        _patience_s = FLUSH_S if recorder.flush(_patience_s) else IMPATIENT_S


def _status(result: object) -> int:
    """Of an HTTP response. Gateways take a result without a status for a body and answer 200."""
    status = result.get("statusCode", result.get("status")) if isinstance(result, Mapping) else 200
    try:
        return int(status if status is not None else 200)
    except (TypeError, ValueError):
        return 502  # what the gateway makes of it


def _remaining_s(context: Any) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return remaining() / 1000 if callable(remaining) else 0.0


def _reseed_after_restore() -> None:
    """A SnapStart snapshot is restored many times; each must draw other ids."""
    try:
        from snapshot_restore_py import register_after_restore
    except ImportError:
        return
    register_after_restore(seed)
