"""gRPC's server ≥ 1.50, `grpc` and `grpc.aio`: one segment per call of all four kinds.

An interceptor of ours, the first, wraps each method's handler; a call of a method that the server does not have is no
work of the service and has no segment. The segment lasts until the handler returned or its stream ended. While a stream
waits for its reader the segment is not current in a thread.

Gap: servers made before `fluoro.install()`.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Iterator
from inspect import isasyncgenfunction, iscoroutinefunction
from types import ModuleType
from typing import Any

import grpc

from fluoro.context import current_node
from fluoro.instrument import _patch, _rpc
from fluoro.recorder import Span

_INTERCEPTORS = 2  # position among the arguments of both functions called `server`
_current = current_node.get
_set_current = current_node.set


def patch(module: ModuleType) -> None:
    _patch.wrap(module, "server", _with(Interceptor))
    _patch.wrap(module.aio, "server", _with(AioInterceptor))


def _with(interceptor: Callable[[], Any]) -> Callable[..., Any]:
    def server(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if len(args) > _INTERCEPTORS:
            given = args[_INTERCEPTORS] or ()
            return original(*args[:_INTERCEPTORS], (interceptor(), *given), *args[_INTERCEPTORS + 1 :], **kwargs)
        given = kwargs.pop("interceptors", None) or ()
        return original(*args, **kwargs, interceptors=(interceptor(), *given))

    return server


class Interceptor(grpc.ServerInterceptor):  # type: ignore[misc]  # grpc publishes no types
    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        handler = continuation(handler_call_details)
        return _traced(handler, handler_call_details) or handler


class AioInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    async def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        return _traced(handler, handler_call_details) or handler


@_patch.guarded
def _traced(handler: Any, details: Any) -> Any:
    if handler is None or not _rpc.is_traced(details.method):
        return None
    kind = f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"
    serve = getattr(handler, kind)
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    traced = _streamed(serve, details) if handler.response_streaming else _single(serve, details)
    return make(traced, handler.request_deserializer, handler.response_serializer)


def _single(serve: Callable[..., Any], details: Any) -> Callable[..., Any]:
    if iscoroutinefunction(serve):
        return _coroutine(serve, details)

    def call(request: Any, context: Any) -> Any:
        span = _begin(details)
        context = _readable(context)
        try:
            answer = serve(request, context)
        except BaseException as error:
            _end(span, context, error)
            raise
        _end(span, context, None)
        return answer

    return call


def _coroutine(serve: Callable[..., Any], details: Any) -> Callable[..., Any]:
    """Of a call with one answer, or of a stream that the handler writes to itself."""

    async def call(request: Any, context: Any) -> Any:
        span = _begin(details)
        try:
            answer = await serve(request, context)
        except BaseException as error:
            _end(span, context, error)
            raise
        _end(span, context, None)
        return answer

    return call


def _streamed(serve: Callable[..., Any], details: Any) -> Callable[..., Any]:
    if iscoroutinefunction(serve):
        return _coroutine(serve, details)
    if isasyncgenfunction(serve):

        async def generate(request: Any, context: Any) -> AsyncIterator[Any]:
            span = _begin(details)
            answers = serve(request, context)
            try:
                async for answer in answers:
                    yield answer
            except BaseException as error:
                _end(span, context, error)
                raise
            finally:
                await answers.aclose()
            _end(span, context, None)

        return generate

    def iterate(request: Any, context: Any) -> Iterator[Any]:
        outside = _current()
        span = _begin(details)
        context = _readable(context)
        try:
            answers = serve(request, context)
        except BaseException as error:
            _end(span, context, error)
            raise
        stream = Stream(answers, span, context, _current())
        _set_current(outside)
        return stream

    return iterate


class Stream:
    """A handler's answers as gRPC iterates them: the segment is current while the handler works on the next one.

    gRPC forgets the iterator when the client is gone, so the call's end ends the segment too.
    """

    def __init__(self, answers: Any, span: Span | None, context: Any, inside: Any) -> None:
        self._answers = iter(answers)
        self._context = context
        self._inside = inside
        self._open = [span]  # emptied by whoever ends the segment: this thread, or gRPC's that sees the client leave
        context.add_callback(self._left)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        outside = _current()
        _set_current(self._inside)
        try:
            return next(self._answers)
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        finally:
            self._inside = _current()
            _set_current(outside)

    def _left(self) -> None:
        self._end(CancelledError())

    def _end(self, error: BaseException | None) -> None:
        try:
            span = self._open.pop()
        except IndexError:
            return
        _end(span, self._context, error)


class _Remembering:
    """The context of a blocking handler in an asyncio server, which does not tell the status that it is given."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._code: Any = None
        self._details: Any = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def code(self) -> Any:
        return self._code

    def details(self) -> Any:
        return self._details

    def set_code(self, code: Any) -> None:
        self._code = code
        self._context.set_code(code)

    def set_details(self, details: str) -> None:
        self._details = details
        self._context.set_details(details)

    def abort(self, code: Any, details: str = "", *args: Any, **kwargs: Any) -> None:
        self._code, self._details = code, details
        self._context.abort(code, details, *args, **kwargs)


def _readable(context: Any) -> Any:
    return context if hasattr(context, "code") else _Remembering(context)


@_patch.guarded
def _begin(details: Any) -> Span:
    return _rpc.served_span(details.method, details.invocation_metadata or ())


@_patch.guarded
def _end(span: Span | None, context: Any, error: BaseException | None) -> None:
    if span is None:
        return
    code = _number(context.code())
    text = context.details()
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text or ""
    if code:  # set by the handler, or by `abort`, which raises an exception that says nothing
        aborted = error is None or type(error).__name__ == "AbortError" or (type(error) is Exception and not error.args)
        _rpc.end(span, code, text, None if aborted else error)
    elif error is None:
        _rpc.end(span, _rpc.OK)
    elif isinstance(error, Exception):
        _rpc.end(span, _rpc.UNKNOWN, "", error)
    else:
        _rpc.end(span, _rpc.CANCELLED)


def _number(code: Any) -> int:
    """A handler may set a StatusCode, a number, or nothing."""
    if isinstance(code, grpc.StatusCode):
        return int(code.value[0])
    return code if isinstance(code, int) else _rpc.OK
