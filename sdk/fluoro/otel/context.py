"""OpenTelemetry's current context, kept in the recorder's own ContextVar.

Our instrumentations put a recorder's span there and never build an OpenTelemetry Context. One is made only when
OpenTelemetry code asks for it; its other keys (baggage, "suppress instrumentation") survive spans of either kind.

Our own instrumentations are quiet inside a call that OpenTelemetry code records (an LLM's client over httpx, an ORM over
a driver) and where it asked for quiet: they pass the trace on and record nothing, so one call is one span.
"""

from __future__ import annotations

from contextvars import Token
from copy import copy
from typing import Any

from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.context.context import Context
from opentelemetry.context.context import _RuntimeContext as ApiRuntimeContext
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace.propagation import _SPAN_KEY

from fluoro.context import current_node
from fluoro.model import Kind
from fluoro.otel.ids import RemoteSpan, UnsampledSpan, parent_from
from fluoro.otel.span import NativeSpan, Span
from fluoro.propagation import Parent
from fluoro.recorder import Span as LiveSpan
from fluoro.recorder import recorder, unrecorded

_EMPTY = Context()
_get = current_node.get

# The last is what contrib's `suppress_instrumentation` sets besides, for old packages.
_QUIET_KEYS = (_SUPPRESS_INSTRUMENTATION_KEY, _SUPPRESS_HTTP_INSTRUMENTATION_KEY, "suppress_instrumentation")

# A CLIENT span with one of these says what it calls, and how; an instrumentation may say so only at its end. Any other is
# a name that somebody gave to a piece of code, and the call in it is ours to record. Elasticsearch's client makes INTERNAL
# spans with the first two.
_DATABASE = frozenset({"db.system", "db.system.name"})
_CALL = _DATABASE | {
    "gen_ai.provider.name",
    "gen_ai.system",
    "http.method",
    "http.request.method",
    "rpc.system",
    "rpc.system.name",
}


def is_call(api: Span, kind: Kind) -> bool:
    """Whether `api` records a call, so that what it is made of (a request, a driver's query) is not another one."""
    if kind in (Kind.CLIENT, Kind.PRODUCER):
        return api.instrumentation_scope.instruments or not _CALL.isdisjoint(api.attributes)
    return kind is Kind.INTERNAL and not _DATABASE.isdisjoint(api.attributes)


class Node:
    """What `current_node` holds while OpenTelemetry code has set the context.

    `live` is the recorder's span (None: no current span), `api` the same as OpenTelemetry sees it. `below` is the node
    it was set on top of, until the Context has been built from it. `quiet`: the context asks for no instrumentation.
    """

    __slots__ = ("_context", "api", "below", "live", "quiet")

    def __init__(
        self, live: LiveSpan | None, api: ApiSpan | None, below: Any, context: Context | None, quiet: bool
    ) -> None:
        self.live = live
        self.api = api
        self.below = below
        self._context = context
        self.quiet = quiet

    @property
    def span(self) -> LiveSpan | None:
        """What the recorder continues from: `live`, or a copy of it under which nothing is recorded."""
        live, api = self.live, self.api
        if self.quiet:
            return unrecorded() if live is None else hushed(live)
        if type(api) is Span and live is not None and live.recording and is_call(api, live.segment.kind):
            return hushed(live)
        return live

    @property
    def context(self) -> Context:
        found = self._context
        if found is None:
            base = context_of(self.below)
            found = Context({**base, _SPAN_KEY: self.api})
            self._context = found
            self.below = None
        return found


class AttachToken:
    """What `attach` returns; `detach` takes it back, also where the ContextVar's own token may not be used."""

    __slots__ = ("node", "token")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.token: Token[Any] = current_node.set(node)


class RuntimeContext(ApiRuntimeContext):
    """The `_RuntimeContext` that `fluoro.otel` puts in the place of OpenTelemetry's."""

    def attach(self, context: Context) -> Any:
        api = context.get(_SPAN_KEY)
        quiet = any(context.get(key) for key in _QUIET_KEYS)
        if not isinstance(api, ApiSpan):
            return AttachToken(Node(None, None, None, context, quiet))
        return AttachToken(Node(live_of(api), api, None, context, quiet))

    def get_current(self) -> Context:
        return context_of(_get())

    def detach(self, token: Any) -> None:
        detach(token)


def detach(token: Any) -> None:
    """Restore what was current before. Never raises and never logs.

    An async generator may be closed in another task than it was started in. Then there is nothing to restore, unless
    that task has inherited our node.
    """
    try:
        if isinstance(token, AttachToken):
            current_node.reset(token.token)
        else:  # attached before `install`, by OpenTelemetry's own context
            token.var.reset(token)
    except (ValueError, RuntimeError, AttributeError):
        if isinstance(token, AttachToken) and _get() is token.node:
            old = token.token.old_value
            current_node.set(None if old is Token.MISSING else old)


def context_of(node: Any) -> Context:
    """The OpenTelemetry Context that `node` stands for."""
    if node is None:
        return _EMPTY
    if isinstance(node, Node):
        return node.context
    if not isinstance(node, LiveSpan):
        return _EMPTY
    below: Any = node
    while isinstance(below, LiveSpan):
        below = below._previous  # noqa: SLF001  one mechanism, two files
    base = below.context if isinstance(below, Node) else _EMPTY
    return Context({**base, _SPAN_KEY: api_of(node)})


def make_current(span: Span | UnsampledSpan) -> AttachToken:
    """`span` on top of what is current, whose other keys stay."""
    below = _get()
    return AttachToken(Node(span.live, span, below, None, type(below) is Node and below.quiet))


def hushed(live: LiveSpan) -> LiveSpan:
    """`live`'s ids and decision for outgoing headers; what is begun under it is not recorded."""
    span = copy(live)
    span.trace = copy(live.trace)
    span.trace.recording = False
    span.recording = False
    span._ended = True  # noqa: SLF001  one mechanism, two files
    return span


def api_of(live: LiveSpan) -> ApiSpan:
    """A recorder's span as OpenTelemetry sees it."""
    return NativeSpan(live) if live.trace.recording else UnsampledSpan(live)


def live_of(api: ApiSpan) -> LiveSpan | None:
    """The recorder's span behind one of OpenTelemetry's: our own, or a handle on somebody else's."""
    if isinstance(api, (Span, UnsampledSpan)):
        return api.live
    parent = remote_of(api)
    return None if parent is None else recorder.remote(parent)


def remote_of(api: ApiSpan) -> Parent | None:
    """The caller that a span we did not make stands for; None if its ids are invalid."""
    if isinstance(api, RemoteSpan):
        return api.parent
    context = api.get_span_context()
    return parent_from(context) if context.is_valid else None
