"""gRPC's client ≥ 1.50, `grpc` and `grpc.aio`: one span per call of all four kinds, until its status is there.

So a stream's span lasts as long as the stream, however it ends; one that is dropped half-way is cancelled by gRPC, and
no fault. Where an interceptor of the application calls again, each call is a span.

What is patched is the call of a stub's method, not the channel: no interceptor of ours changes the type of a channel or
of a call, and channels made before are traced as well. Calls that send traces are left out.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

from grpc.aio._metadata import Metadata

from fluoro.instrument import _patch, _rpc
from fluoro.recorder import Span

_METADATA = 2  # its position among the arguments of a blocking stub's methods, after `request` and `timeout`
_TARGET = "_fluoro_target"

_STREAMS = ("_UnaryStreamMultiCallable", "_SingleThreadedUnaryStreamMultiCallable", "_StreamStreamMultiCallable")


def patch(module: ModuleType) -> None:
    if module.__name__ == "grpc.aio._channel":
        _patch_aio(module)
        return
    for single in (module._UnaryUnaryMultiCallable, module._StreamUnaryMultiCallable):  # noqa: SLF001
        for method in ("__call__", "with_call"):
            _patch.wrap(single, method, _blocking)
        _patch.wrap(single, "future", _started(_begin, _watch))
    for name in _STREAMS:
        _patch.wrap(getattr(module, name), "__call__", _started(_begin, _watch))


def _blocking(original: Callable[..., Any], stub: Any, *args: Any, **kwargs: Any) -> Any:
    begun = _begin(stub, args, kwargs)
    if begun is None:
        return original(stub, *args, **kwargs)
    span, args, kwargs = begun
    try:
        answer = original(stub, *args, **kwargs)
    except BaseException as error:
        _raised(span, error)
        raise
    _rpc.end(span, _rpc.OK)
    return answer


def _started(begin: Callable[..., Any], watch: Callable[[Span, Any], None]) -> Callable[..., Any]:
    """The wrapper for a stub's method that returns a call under way: `watch` ends the span with it."""

    def call(original: Callable[..., Any], stub: Any, *args: Any, **kwargs: Any) -> Any:
        begun = begin(stub, args, kwargs)
        if begun is None:
            return original(stub, *args, **kwargs)
        span, args, kwargs = begun
        try:
            answer = original(stub, *args, **kwargs)
        except BaseException as error:
            _raised(span, error)
            raise
        watch(span, answer)
        return answer

    return call


@_patch.guarded
def _begin(
    stub: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Span, tuple[Any, ...], dict[str, Any]] | None:
    method = stub._method  # noqa: SLF001
    method = method.decode("utf-8", "replace") if isinstance(method, bytes) else method
    if not _rpc.is_traced(method):
        return None
    target = getattr(stub, "_target", None) or stub._channel.target()  # noqa: SLF001  the former is new in 1.59
    span = _rpc.call_span(target, method)
    if len(args) > _METADATA:
        metadata = _rpc.with_trace(args[_METADATA], span)
        return span, (*args[:_METADATA], metadata, *args[_METADATA + 1 :]), kwargs
    return span, args, {**kwargs, "metadata": _rpc.with_trace(kwargs.get("metadata"), span)}


@_patch.guarded
def _raised(span: Span, error: BaseException) -> None:
    code = getattr(error, "code", None)
    status = code() if callable(code) else None
    if not isinstance(error, Exception):
        _rpc.end(span, _rpc.CANCELLED)
    else:
        _rpc.end(span, _rpc.UNKNOWN if status is None else status.value[0], "", error)


@_patch.guarded
def _watch(span: Span, call: Any) -> None:
    # Not `add_done_callback`: it would hold the call, and gRPC cancels one that nobody holds any more.
    state = call._state  # noqa: SLF001

    @_patch.guarded
    def ended() -> None:
        status = state.code
        details = state.details
        text = details.decode("utf-8", "replace") if isinstance(details, bytes) else details or ""
        _rpc.end(span, _rpc.UNKNOWN if status is None else status.value[0], text)

    if not call.add_callback(ended):
        ended()


# --- asyncio ---


def _patch_aio(module: ModuleType) -> None:
    # A stub's method holds a C object that does not tell its target.
    _patch.around(module.Channel, "__init__", _note_target, _nothing)
    for kind in ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream"):
        _patch.wrap(getattr(module, f"{kind}MultiCallable"), "__call__", _started(_begin_aio, _watch_aio))


def _note_target(channel: Any, target: str, *_: Any, **__: Any) -> None:
    setattr(channel, _TARGET, target)


def _nothing(_state: object, _result: object, _error: object) -> None:
    """`_note_target` leaves nothing to do afterwards."""


@_patch.guarded
def _begin_aio(
    stub: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Span, tuple[Any, ...], dict[str, Any]] | None:
    method = stub._method.decode("utf-8", "replace")  # noqa: SLF001
    if not _rpc.is_traced(method):
        return None
    channel = next(iter(stub._references), None)  # noqa: SLF001
    span = _rpc.call_span(getattr(channel, _TARGET, "grpc"), method)
    given = kwargs.get("metadata")
    metadata: Any = _rpc.with_trace(given, span)
    if given is None or isinstance(given, Metadata):  # interceptors of the application see what they would have seen
        metadata = Metadata(*metadata)
    return span, args, {**kwargs, "metadata": metadata}


@_patch.guarded
def _watch_aio(span: Span, call: Any) -> None:
    inner = getattr(call, "_cython_call", None)
    if inner is None:  # interceptors of the application run first; they may answer themselves

        @_patch.guarded
        def intercepted(done: Any) -> None:
            _end_aio(span, done)

        call.add_done_callback(intercepted)
        return

    @_patch.guarded
    def ended() -> None:
        _end_aio(span, inner)

    inner.add_done_callback(ended)  # as in `_watch`: the call's own method would hold the call


def _end_aio(span: Span, call: Any) -> None:
    """`call` is done, so what says how is there without waiting."""
    if hasattr(call, "status"):
        status = _value(call.status())
        code, details = (_rpc.CANCELLED, "") if status is None else (status.code(), status.details())
    else:
        found = _value(call.code())
        code, details = (_rpc.CANCELLED, "") if found is None else (found.value[0], _value(call.details()))
    _rpc.end(span, code, details or "")


def _value(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that has nothing to wait for; None if it would wait or was cancelled."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    except (Exception, CancelledError):  # noqa: BLE001  the call ended with it, and its caller gets it
        return None
    coroutine.close()
    return None
