"""fluoro as OpenTelemetry's tracer provider, on `opentelemetry-api` alone.

Any `opentelemetry-instrumentation-*` package, and any library that calls the API itself, then records into the same
traces as our own instrumentations. `fluoro.install()` does this when the application imports `opentelemetry.trace`.
A provider that the application sets itself wins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from types import MappingProxyType, ModuleType, TracebackType
from typing import Any

import opentelemetry.context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind

from fluoro import diagnostics
from fluoro.context import current_node
from fluoro.instrument import _patch
from fluoro.model import Kind
from fluoro.otel.context import RuntimeContext, api_of, detach, hushed, is_call, make_current, remote_of
from fluoro.otel.ids import UnsampledSpan
from fluoro.otel.limits import Limits
from fluoro.otel.propagation import Propagator
from fluoro.otel.semantics import is_segment
from fluoro.otel.span import Scope, Span
from fluoro.otel.values import copied
from fluoro.propagation import Parent
from fluoro.recorder import Span as LiveSpan
from fluoro.recorder import recorder

_INTERNAL = SpanKind.INTERNAL
_OUTGOING = (Kind.CLIENT, Kind.PRODUCER)
_KINDS = {kind: Kind(kind.value) for kind in SpanKind}
_SPAN_KEY = trace.propagation._SPAN_KEY  # noqa: SLF001  the API has no other way to look without falling back


class TracerProvider(trace.TracerProvider):
    """OpenTelemetry's entry point. Stateless but for span processors: what is recorded goes to `fluoro.recorder`."""

    def __init__(self) -> None:
        self._processors: list[Any] = []
        self._limits = Limits.from_env()

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,  # noqa: ARG002  the API's parameter
        attributes: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Tracer:
        name, version = instrumenting_module_name, instrumenting_library_version
        return Tracer(Scope(name, version, self._processors, self.resource, self._limits))

    def add_span_processor(self, span_processor: Any) -> None:
        """Call its `on_start` and `on_end` with our spans. What it raises, the application sees, as with the SDK."""
        self._processors.append(span_processor)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until everything recorded has been sent, at most `timeout_millis`. True if it has."""
        flush = recorder.flush
        return True if flush is None else flush(timeout_millis / 1_000)

    def shutdown(self) -> None:
        """Send what is queued, at most 2 s. Recording goes on: the process's other spans are not this provider's."""
        self.force_flush(2_000)

    @property
    def resource(self) -> Resource:
        return Resource()


class Resource:
    """What of the process's resource other code reads (log correlation asks for `service.name`)."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        return MappingProxyType({"service.name": recorder.service_name})


class Tracer(trace.Tracer):
    """Makes spans of one instrumentation scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = _INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Any:
        """A span that is not made current. Its parent is the span in `context` (default: the current one)."""
        above, remote, api = _parent(context)
        number = _KINDS.get(kind, Kind.INTERNAL)
        if self._scope.instruments and number in _OUTGOING and type(api) is Span and api.live.recording:
            # pika's writes one for each of its two layers, an LLM's client is written over an HTTP client's.
            above = api.live
            if is_call(api, above.segment.kind):
                return UnsampledSpan(hushed(above))
        at = start_time or 0
        if remote is not None or above is None or number is Kind.SERVER or number is Kind.CONSUMER:
            live = _entry(str(name), number, above, remote, at)
        else:
            live = recorder.start(str(name), "", number, above=above, at=at)
        if not live.recording:
            return UnsampledSpan(live)
        given = copied(attributes)
        excess = len(given) - self._scope.max_attributes
        if excess > 0:
            for key in list(given)[-excess:]:
                del given[key]
        span = Span(live, str(name), given, self._scope, api)
        if excess > 0:
            span._dropped_attributes = excess  # noqa: SLF001  class defaults spare every other span three stores
        if not record_exception:
            span._record_exception = False  # noqa: SLF001
        if not set_status_on_exception:
            span._set_status_on_exception = False  # noqa: SLF001
        for link in links or ():
            span.add_link(link.context, link.attributes)
        for processor in self._scope.processors:
            processor.on_start(span, context)
        return span

    def start_as_current_span(  # type: ignore[override]  # typed as a generator there
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = _INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> CurrentSpan:
        """`with tracer.start_as_current_span(…) as span:`, or a decorator for functions and coroutine functions."""
        return CurrentSpan(
            self,
            (name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception),
            end_on_exit,
        )


class CurrentSpan:
    """A context manager that starts a span, makes it current, and ends it. As a decorator it does so for each call."""

    __slots__ = ("_arguments", "_end", "_span", "_token", "_tracer")

    def __init__(self, tracer: Tracer, arguments: tuple[Any, ...], end_on_exit: bool) -> None:
        self._tracer = tracer
        self._arguments = arguments
        self._end = end_on_exit

    def __enter__(self) -> Any:
        span = self._span = self._tracer.start_span(*self._arguments)
        # On top of what is current: other keys of a context that was passed in do not become current, as in `use_span`.
        self._token = make_current(span)
        return span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        detach(self._token)
        span = self._span
        if isinstance(span, Span):
            if error is not None:
                span.fail(error)
            if self._end:
                span.end()
        elif self._end:
            span.live.end()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        tracer, arguments, end = self._tracer, self._arguments, self._end

        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced_async(*args: Any, **kwargs: Any) -> Any:
                with CurrentSpan(tracer, arguments, end):
                    return await function(*args, **kwargs)

            return traced_async

        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            with CurrentSpan(tracer, arguments, end):
                return function(*args, **kwargs)

        return traced


def _parent(context: Context | None) -> tuple[LiveSpan | None, Parent | None, Any]:
    """(our span above, or None; else a caller elsewhere, or None; either as OpenTelemetry sees it)."""
    if context is None:
        node = current_node.get()
        if node is None:
            return None, None, None
        if isinstance(node, LiveSpan):
            return node, None, api_of(node)
        api = node.api
    else:
        api = context.get(_SPAN_KEY)
    if not isinstance(api, trace.Span):
        return None, None, None
    if isinstance(api, (Span, UnsampledSpan)):
        return api.live, None, api
    return None, remote_of(api), api


def _entry(name: str, kind: Kind, above: LiveSpan | None, remote: Parent | None, at: int) -> LiveSpan:
    """A span that is a service's entry, or that has nothing of this process above it."""
    if above is not None:
        trace, segment = above.trace, above.segment
        remote = Parent(segment.trace_id, segment.id, trace.sampled, trace.asked, trace.trace_state, trace.extras)
    if is_segment(kind, 0 if remote is None else remote.id, remote is not None and above is None):
        return recorder.start_segment(name, kind, remote, at=at)
    return recorder.start(name, "", kind, above=None if remote is None else recorder.remote(remote), at=at)


def install() -> bool:
    """Become OpenTelemetry's provider, current context and propagator. False if the application has set a provider.

    The provider is set so that `set_tracer_provider` still works once: a provider the application sets later replaces
    ours instead of being refused.
    """
    found = trace._TRACER_PROVIDER  # noqa: SLF001
    if isinstance(found, TracerProvider):
        return True
    if found is not None:
        diagnostics.warn("otel", f"OpenTelemetry spans stay with {type(found).__module__}.{type(found).__name__}")
        return False
    _patch.replace(opentelemetry.context, "_RUNTIME_CONTEXT", RuntimeContext())
    _patch.replace(propagate, "_HTTP_TEXT_FORMAT", Propagator(propagate.get_global_textmap()))
    _patch.replace(trace, "_TRACER_PROVIDER", TracerProvider())
    _patch.around(trace, "set_tracer_provider", lambda tracer_provider: tracer_provider, _handed_over)
    return True


def _handed_over(_given: object, _result: object, _error: BaseException | None) -> None:
    """Spans that stop arriving without a word would be looked for on our side."""
    found = trace._TRACER_PROVIDER  # noqa: SLF001
    if found is not None and not isinstance(found, TracerProvider):
        diagnostics.warn(
            "otel handed over",
            f"the application set {type(found).__module__}.{type(found).__name__} as OpenTelemetry's provider: its spans "
            "reach fluoro only if that exports them to fluoro's collector. Leave set_tracer_provider out to record them here",
            every_s=float("inf"),
        )


def patch(module: ModuleType) -> None:  # noqa: ARG001  called when `opentelemetry.trace` has been imported
    """For the table of instrumentations."""
    install()


__all__ = ["Span", "Tracer", "TracerProvider", "install"]
