"""Celery ≥ 5.2, the receiving side: one CONSUMER segment per execution of a task, in every kind of pool.

Its operation is the task's name, its parent is what sent the message, each attempt of a retried task is a segment. The
message counts as received from its routing key. A task that fails is a fault with its exception; one that raises Retry,
Ignore or Reject is none. `apply()` and `task_always_eager` run the task in the caller: an internal subsegment there.
Storing the result and sending what follows (chains, chords, callbacks) happens within it.

Gap: a worker process that is killed (hard time limit, out of memory) takes the segment of its task with it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fluoro import propagation
from fluoro.instrument import _patch
from fluoro.model import Kind
from fluoro.recorder import Span, recorder

FLUSH_S = 2.0
_CONTROL = frozenset({"Retry", "Ignore", "Reject"})  # raised to say what shall happen to the message


def patch(module: ModuleType) -> None:
    if module.__name__ == "celery.concurrency.prefork":
        _patch.around(module, "process_destructor", _leaving, _nothing)
    else:
        _patch.wrap(module, "build_tracer", _build_tracer)


def _leaving(*_: Any, **__: Any) -> None:
    """A child of the prefork pool ends by `os._exit`, past `atexit` and all finalizers."""
    if recorder.flush is not None:
        recorder.flush(FLUSH_S)


def _nothing(_state: object, _result: object, _error: object) -> None:
    """`_leaving` leaves nothing to do afterwards."""


def _build_tracer(original: Callable[..., Any], name: str, task: Any, *args: Any, **options: Any) -> Any:
    run = original(name, task, *args, **options)
    eager = bool(options.get("eager"))

    def trace_task(uuid: Any, task_args: Any, kwargs: Any, request: Any = None) -> Any:
        span = _begin(name, uuid, request, eager)
        if span is None:
            return run(uuid, task_args, kwargs, request)
        try:
            outcome = run(uuid, task_args, kwargs, request)
        except BaseException as error:
            _raised(span, error)
            raise
        _returned(span, outcome)
        return outcome

    return trace_task


@_patch.guarded
def _begin(name: str, uuid: Any, request: Any, eager: bool) -> Span:
    if eager:
        return recorder.begin(name)
    request = request or {}
    span = recorder.begin_segment(name, Kind.CONSUMER, propagation.extract(_reader(request)))
    if span.recording:
        annotations = span.segment.annotations = {"messaging.system": "celery", "messaging.message.id": str(uuid)[:200]}
        destination = (request.get("delivery_info") or {}).get("routing_key")
        if destination:
            annotations["messaging.destination.name"] = str(destination)[:200]
        retries = request.get("retries")
        if retries:
            annotations["celery.retries"] = retries
    return span


def _reader(request: Any) -> Callable[[str], str | None]:
    def header(name: str) -> str | None:
        value = request.get(name)
        return value if isinstance(value, str) else None

    return header


@_patch.guarded
def _returned(span: Span, outcome: Any) -> None:
    """`outcome.info` is None for success, else the state that the task ended in, and the exception."""
    info = outcome.info
    if info is not None and span.recording:
        span.annotate("celery.state", str(info.state))
        if info.state == "FAILURE" and isinstance(info.retval, BaseException):
            span.fail(info.retval)
    span.end()


@_patch.guarded
def _raised(span: Span, error: BaseException) -> None:
    if isinstance(error, Exception) and type(error).__name__ not in _CONTROL:
        span.fail(error)
    span.end()
