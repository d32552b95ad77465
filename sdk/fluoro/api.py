"""What an application may call: `fluoro.span`, `fluoro.annotate` and the rest. Re-exported by `fluoro`.

All of it is safe without a current span, before `fluoro.install()`, and when tracing is off; only with
FLUORO_CONTEXT_MISSING=RUNTIME_ERROR do `annotate` and `metadata` want a span.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import TracebackType
from typing import Any, TypeVar, cast

from msgspec import Struct

from fluoro import activation, diagnostics, settings
from fluoro.context import current_node
from fluoro.errors import ContextMissing
from fluoro.model import Annotation
from fluoro.recorder import Span, recorder

_F = TypeVar("_F", bound=Callable[..., Any])
_begin = recorder.begin
_current = current_node.get
_set_current = current_node.set

if activation.activated:  # `fluoro run`, in a program that uses no traced library before this
    activation.start()


class span(Struct, eq=False):  # noqa: N801  used like a function, as contextlib's are; a Struct is made in C
    """A piece of work of your own: `with fluoro.span("price"):`, or `@fluoro.span("price")` on a function or coroutine
    function. It is a child of the current span, or a trace of its own.

    `with … as work` gives the `fluoro.recorder.Span`. An exception that leaves the block is recorded as its cause and
    goes on. A decorator without a name takes the function's.
    """

    name: str = ""
    _live: Span | None = None

    def __enter__(self) -> Span:
        outside = _current()
        try:
            self._live = live = _begin(self.name or "span")
        except BaseException:  # by a signal handler: a block that is not entered is not left either
            _set_current(outside)
            raise
        return live

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        live = self._live
        if live is not None:
            if error is None:
                live.end()
            else:
                live.__exit__(kind, error, trace)

    def __call__(self, function: _F) -> _F:
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise TypeError(
                f"fluoro.span cannot decorate the generator {function.__qualname__}: its caller's code runs between "
                "two items. Put `with fluoro.span(…)` around the work inside it."
            )
        name = self.name or function.__qualname__

        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced_async(*args: Any, **kwargs: Any) -> Any:
                with recorder.begin(name):
                    return await function(*args, **kwargs)

            return cast("_F", traced_async)

        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            with recorder.begin(name):
                return function(*args, **kwargs)

        return cast("_F", traced)


def annotate(key: str, value: Annotation) -> None:
    """Index `value` (str, int, float or bool) under `key` on the current span: searchable as `annotation[key]`."""
    current = recorder.current()
    if current is not None:
        current.annotate(key, value)
    else:
        _context_missing("annotate")


def metadata(key: str, value: Any, namespace: str = "default") -> None:
    """Attach any JSON-like `value` to the current span: shown with it, not searchable."""
    current = recorder.current()
    if current is not None:
        current.metadata(key, value, namespace)
    else:
        _context_missing("metadata")


def _context_missing(what: str) -> None:
    """There is no span to write to. FLUORO_CONTEXT_MISSING says what then: one log line a minute, nothing, or an error."""
    match activation.context_missing:
        case settings.LOG_ERROR:
            diagnostics.warn("context missing", f"fluoro.{what} was called outside of any span; nothing was recorded")
        case settings.RUNTIME_ERROR:
            raise ContextMissing(
                f"fluoro.{what} was called outside of any span. Put `with fluoro.span(…)` around it, or set "
                "FLUORO_CONTEXT_MISSING=LOG_ERROR"
            )


def current_trace_id() -> str | None:
    """The current trace as X-Ray writes it, `1-8hex-24hex`: for a log line or an error page. None without a trace."""
    current = recorder.current()
    if current is None:
        return None
    text = current.segment.trace_id.hex()
    return f"1-{text[:8]}-{text[8:]}"


def flush(timeout: float = 2.0) -> bool:
    """Wait at most `timeout` seconds until everything recorded so far has been sent or given up. True if it has."""
    return activation.sender.flush(timeout) if activation.sender is not None else True


def statistics() -> dict[str, Any]:
    """The counters of this process: recorded, sent, rejected, dropped by reason, queued, batches, retries, trimmed."""
    return activation.sender.statistics() if activation.sender is not None else {}


def wsgi(application: _F) -> _F:
    """`application` (WSGI) with each request in a segment: `application = fluoro.wsgi(application)`.

    For servers written in C, as uWSGI and mod_wsgi; others are patched. Passes through while tracing is off.
    """

    def traced(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if recorder.sink is None:
            return application(environ, start_response)
        from fluoro.instrument import _wsgi

        return _wsgi.serve_application(application, environ, start_response)

    return cast("_F", traced)


def asgi(application: _F) -> _F:
    """`application` (ASGI 3) with each request and websocket in a segment: `application = fluoro.asgi(application)`.

    For servers that are not patched, as Daphne and Granian, with frameworks that are not either. Passes through while
    tracing is off.
    """

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        if recorder.sink is None:
            await application(scope, receive, send)
        else:
            from fluoro.instrument import _asgi

            await _asgi.serve_application(application, scope, receive, send)

    return cast("_F", traced)


def lambda_handler(handler: _F) -> _F:
    """An AWS Lambda handler `(event, context)` with each invocation in a segment that is sent before it returns.

    Needed only in a custom runtime, or without `fluoro run` in front of AWS's: there every handler is traced.
    """
    from fluoro.instrument.aws_lambda import traced

    return traced(handler)
