"""Begin and end spans. The hot path: no lock, no thread, no formatting; one deque append per finished span.

A `Span` is the live handle, its `segment` the record that is sent. `begin` makes the span current, `end` restores
what was current before. Nothing in here raises because of what an application does or does not do.
"""

from __future__ import annotations

import os
from _random import Random  # the generator alone: `random` imports hashlib and costs ten times as much to load
from collections.abc import Callable
from struct import Struct as Packer
from time import time, time_ns
from types import TracebackType
from typing import Any

from msgspec import Struct

from fluoro import diagnostics, forks
from fluoro.causes import exception_records
from fluoro.context import current_node
from fluoro.model import Annotation, Cause, Kind, Segment
from fluoro.propagation import Parent
from fluoro.sampling.decision import Decision, Sampler

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = Kind

MAX_ANNOTATIONS = 200  # per segment; X-Ray indexes 50 per trace

AFTERLIFE_NS = 60_000_000_000  # how long after its end a span is still the parent of what it started

_trace_id = Packer(">IIQ").pack  # half of what arithmetic on 128-bit ints costs
_current = current_node.get
_set_current = current_node.set
_random = Random()
_bits = _random.getrandbits


def seed() -> None:
    """Draw new random state from the operating system; a forked or thawed process must not repeat its parent's ids."""
    _random.seed(int.from_bytes(os.urandom(32), "big"))


seed()
forks.in_child(seed)


class _Nowhere:
    """Stands for "this span never became current" in `Span._previous`."""


_NOWHERE = _Nowhere()


class Trace(Struct, eq=False):
    """What the spans of one trace share in one process. One is made for each entry, not for each span.

    `sampled` is the decision that is propagated; `recording` is False too when nothing is installed to send to.
    `service` is set when the entry's name is not the process's own. `decision` is the sampler's, None when it was not
    asked. `asked`, `trace_state` and `extras` are the caller's. Unsampled traces that carry nothing on share one object.
    """

    sampled: bool
    recording: bool
    service: str = ""
    decision: Decision | None = None
    asked: bool = False
    trace_state: str = ""
    extras: str = ""
    # The exception recorded last: a fingerprint, its record's id, and whose child recorded it (see Span.fail).
    _failure: tuple[object, ...] = ()
    _failed_in: tuple[str, int] = ("", 0)


class Span:
    """A live segment.

    `recording` is False for an unsampled or ended span: then nothing written to it is sent; skip work that only fills
    it. `segment` may be written directly while recording. `trace` is shared with the other spans of the trace here.
    `view` is what another API shows of this span (`fluoro.compat`); unset unless somebody asked for it.
    """

    __slots__ = ("_ended", "_previous", "recording", "segment", "trace", "view")

    segment: Segment
    recording: bool
    trace: Trace
    view: Any

    _previous: Any
    _ended: bool

    # No __init__: before Python 3.13 calling a class with one costs more than the rest of `begin`. See `_span`.

    @property
    def span(self) -> Span:
        """Itself: every node in `current_node` has a `span`."""
        return self

    @property
    def ended(self) -> bool:
        return self._ended

    def annotate(self, key: str, value: Annotation) -> None:
        """Index `value` under `key`: searchable, shown on the trace list.

        At most 200 for one span. The sender's thread does the rest: keys are cut at 500 characters, strings at 1,000, and
        what is neither str, int, float nor bool becomes a string.
        """
        if self.recording:
            annotations = self.segment.annotations
            try:
                if annotations is None:
                    self.segment.annotations = {key: value}
                elif len(annotations) < 200 or key in annotations:  # MAX_ANNOTATIONS; a number here is one look-up less
                    annotations[key] = value
            except Exception:  # noqa: BLE001  no key of a dict
                self.annotate(_text(key), value)

    def metadata(self, key: str, value: Any, namespace: str = "default") -> None:
        """Attach any JSON-like `value`: shown with the segment, not searchable.

        It is encoded later, in the sender: what is changed in between is sent changed. A value that has no JSON form
        is sent as its `repr`.
        """
        if self.recording:
            spaces = self.segment.metadata
            if spaces is None:
                spaces = self.segment.metadata = {}
            spaces.setdefault(_text(namespace), {})[_text(key)] = value

    def end(self, at: int = 0) -> None:
        """Finish at `at` (epoch ns, default now) and hand over to the sender. A second call does nothing.

        If this span is no longer current (another one was begun and left open, or another task ends it), what is
        current stays so.
        """
        if self._ended:
            return
        self._ended = True
        if self.recording:
            self.recording = False
            segment = self.segment
            segment.end = at or time_ns()
            sink = recorder.sink
            if sink is not None:
                sink(segment)
        if _current() is self:
            previous = self._previous
            # A span that ended while it was not current is skipped; nearly always there is none.
            _set_current(_live(previous) if type(previous) is Span and previous._ended else previous)  # noqa: SLF001
            # Long-lived tasks keep the span they were started under; it must not keep all the ones before it.
            self._previous = _NOWHERE

    def fail(self, error: BaseException) -> None:
        """Record `error` as the cause and mark the segment a fault. Does not end it."""
        if self.recording:
            self.segment.fault = True
            self.record_exception(error)

    def record_exception(self, error: BaseException, *, remote: bool = False) -> None:
        """Record `error` as the cause without judging the outcome. `remote`: it came from the called service.

        An exception that a child of this span has recorded already is only referred to.
        """
        if not self.recording:
            return
        try:
            self._record_exception(error, remote)
        except Exception as bug:  # noqa: BLE001  a strange exception class must not replace the application's error
            diagnostics.internal_error("recorder.record_exception", bug)

    def _record_exception(self, error: BaseException, remote: bool) -> None:
        segment, trace = self.segment, self.trace
        fingerprint = _fingerprint(error)
        identity, recorded_under = trace._failed_in  # noqa: SLF001
        if trace._failure == fingerprint:  # noqa: SLF001
            if recorded_under == segment.parent_id and segment.cause is not None:
                return  # a second call for the same exception
            if recorded_under == segment.id:
                if segment.cause is None:
                    segment.cause = Cause(ref=identity)
                trace._failed_in = (identity, segment.parent_id)  # noqa: SLF001
                return
        records = exception_records(error, _bits(64), remote=remote)
        if segment.cause is None or segment.cause.ref:
            segment.cause = Cause(records, working_directory=_working_directory())
        else:
            segment.cause.exceptions.extend(records)
        trace._failure = fingerprint  # noqa: SLF001
        trace._failed_in = (records[0].id, segment.parent_id)  # noqa: SLF001

    def __enter__(self) -> Span:  # noqa: PYI034  there are no subclasses, and Self is new in 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # As OpenTelemetry: leaving by SystemExit, KeyboardInterrupt, GeneratorExit or a cancelled task is no fault.
        if error is not None and isinstance(error, Exception):
            self.fail(error)
        self.end()


class Recorder:
    """What every instrumentation uses; there is one, `recorder`, set up by `fluoro.install()`.

    Until then (`sink` is None) spans carry ids and are not recorded.
    """

    __slots__ = ("caller", "flush", "naming", "origin", "sampler", "service_name", "sink")

    service_name: str
    origin: str
    sink: Callable[[Segment], None] | None
    sampler: Sampler | None
    flush: Callable[[float], bool] | None
    naming: Callable[[str], str] | None
    caller: Parent | None

    def __init__(self) -> None:
        self.configure()

    def configure(
        self,
        *,
        service_name: str = "",
        origin: str = "",
        sink: Callable[[Segment], None] | None = None,
        sampler: Sampler | None = None,
        flush: Callable[[float], bool] | None = None,
        naming: Callable[[str], str] | None = None,
        caller: Parent | None = None,
    ) -> None:
        """Say who we are and where finished segments go. `sampler` decides on traces that nobody upstream decided on;
        None records all of them. `flush(timeout in s)` waits until what went into `sink` is sent. `naming(Host header)`
        names the service that a request was meant for, "" for our own. `caller` is who started this process; work that
        no request or message brought belongs below it.
        """
        self.service_name = service_name
        self.origin = origin
        self.sink = sink
        self.sampler = sampler
        self.flush = flush
        self.naming = naming
        self.caller = caller

    def begin(self, name: str, operation: str = "", kind: Kind = INTERNAL, namespace: str = "") -> Span:
        """A child of the current span: a subsegment. Without a current span it starts a trace of its own.

        Then internal work becomes a segment (name: the service, operation: `name`); a call (`namespace` "remote" or
        "aws", or a CLIENT or PRODUCER) stays a subsegment whose parent is 0.
        """
        node = _current()
        if type(node) is not Span or not node.recording:
            return self._begin_under(node, name, operation, kind, namespace)
        # Written out rather than calling `start`: this is the path of nearly every span.
        trace = node.trace
        parent = node.segment
        span = Span()
        span.segment = segment = Segment(
            parent.trace_id, _bits(64) or 1, parent.id, name, time_ns(), 0, kind, True, namespace, operation
        )
        span.trace = trace
        span.recording = True
        span._previous = node  # noqa: SLF001
        span._ended = False  # noqa: SLF001
        if trace.service:
            segment.service = trace.service
        _set_current(span)
        return span

    def _begin_under(self, node: Any, name: str, operation: str, kind: Kind, namespace: str) -> Span:
        """`begin` where the current node is no recording span: none, an OpenTelemetry context, unsampled, or ended."""
        node = _live(node)
        above = node if node is None or type(node) is Span else node.span
        if above is None:
            span = self._root(name, operation, kind, namespace, 0)
        else:
            span = self.start(name, operation, kind, namespace, above=above)
        span._previous = node  # noqa: SLF001
        _set_current(span)
        return span

    def begin_segment(
        self,
        operation: str,
        kind: Kind = SERVER,
        parent: Parent | None = None,
        name: str = "",
        method: str = "",
        url: str = "",
    ) -> Span:
        """The entry of a request or message: starts from `parent` or a new trace, never from the ambient span.

        `name` is for a process that answers under several names; normally it is the service's own. `method` and `url`
        are an HTTP request's, for the sampler.
        """
        span = self._entry(operation, kind, parent, name, 0, method, url)
        span._previous = _current()  # noqa: SLF001
        _set_current(span)
        return span

    def start(
        self,
        name: str,
        operation: str = "",
        kind: Kind = INTERNAL,
        namespace: str = "",
        *,
        above: Span | None = None,
        at: int = 0,
    ) -> Span:
        """Like `begin`, but the parent is `above` (None: a new trace), the start may be given (epoch ns), and the span
        does not become current: for calls that end elsewhere, and for OpenTelemetry's `start_span`.
        """
        if above is None:
            return self._root(name, operation, kind, namespace, at)
        trace = above.trace
        if not trace.recording:
            return _span(above.segment, trace, False, _NOWHERE)
        parent = above.segment
        segment = Segment(
            parent.trace_id, _bits(64) or 1, parent.id, name, at or time_ns(), 0, kind, True, namespace, operation
        )
        segment.service = trace.service
        return _span(segment, trace, True, _NOWHERE)

    def start_segment(
        self, operation: str, kind: Kind = SERVER, parent: Parent | None = None, name: str = "", *, at: int = 0
    ) -> Span:
        """Like `begin_segment`, but the span does not become current."""
        return self._entry(operation, kind, parent, name, at)

    def remote(self, parent: Parent) -> Span:
        """The caller's span as a handle to hang children on. It is never sent, and ended from the start."""
        sampled = parent.sampled is not False
        segment = Segment(parent.trace_id, parent.id, 0, "", 0)
        trace = Trace(
            sampled,
            sampled and self.sink is not None,
            asked=parent.asked,
            trace_state=parent.trace_state,
            extras=parent.extras,
        )
        span = _span(segment, trace, False, _NOWHERE)
        span._ended = True  # noqa: SLF001
        return span

    def activate(self, span: Span) -> None:
        """Make a span from `start` current, once; its `end` restores what is current now."""
        if span._previous is _NOWHERE and not span._ended:  # noqa: SLF001
            span._previous = _current()  # noqa: SLF001
            _set_current(span)

    def current(self) -> Span | None:
        """The current span of this thread or task."""
        node = _live(_current())
        if node is None or type(node) is Span:
            return node
        span: Span | None = node.span
        return span

    def _root(self, name: str, operation: str, kind: Kind, namespace: str, at: int) -> Span:
        caller = self.caller
        if not namespace and kind not in (CLIENT, PRODUCER):
            return self._entry(name, kind, caller, "", at)
        forks.check()
        trace_id, parent_id = (new_trace_id(), 0) if caller is None else (caller.trace_id, caller.id)
        trace = self._new_trace(trace_id, operation or name, caller, "")
        segment = Segment(
            trace_id, _bits(64) or 1, parent_id, name, at or time_ns(), 0, kind, True, namespace, operation
        )
        return _span(segment, trace, trace.recording, _NOWHERE)

    def _entry(
        self,
        operation: str,
        kind: Kind,
        parent: Parent | None,
        name: str,
        at: int,
        method: str = "",
        url: str = "",
    ) -> Span:
        forks.check()
        own = self.service_name
        if parent is None:
            trace_id, parent_id = new_trace_id(), 0
        else:
            trace_id, parent_id = parent.trace_id, parent.id
        trace = self._new_trace(trace_id, operation, parent, name if name and name != own else "", method, url)
        if trace is _UNSAMPLED:  # nobody will read more than its ids, and that it is an entry
            return _span(Segment(trace_id, _bits(64) or 1, parent_id, "", 0, 0, kind), trace, False, _NOWHERE)
        span = Span()
        span.segment = segment = Segment(
            trace_id, _bits(64) or 1, parent_id, name or own, at or time_ns(), 0, kind, False, "", operation
        )
        span.trace = trace
        span.recording = trace.recording
        span._previous = _NOWHERE  # noqa: SLF001
        span._ended = False  # noqa: SLF001
        if self.origin:
            segment.origin = self.origin
        if trace.trace_state:
            segment.trace_state = trace.trace_state
        decision = trace.decision
        if decision is not None and decision.rule and decision.sampled:
            segment.aws = {"xray": {"sampling_rule_name": decision.rule}}
        return span

    def _new_trace(
        self, trace_id: bytes, operation: str, parent: Parent | None, service: str, method: str = "", url: str = ""
    ) -> Trace:
        sampled = parent.sampled if parent is not None else None
        decision = None
        if sampled is None:
            sampler = self.sampler
            if sampler is None:
                sampled = True
            else:
                decision = sampler(trace_id, service or self.service_name, operation, method, url)
                sampled = decision.sampled
        recording = sampled and self.sink is not None
        if parent is not None and (parent.asked or parent.trace_state or parent.extras):
            return Trace(sampled, recording, service, decision, parent.asked, parent.trace_state, parent.extras)
        if not sampled and (decision is None or decision.anomalous is None):
            return _UNSAMPLED
        return Trace(sampled, recording, service, decision)


_UNSAMPLED = Trace(False, False)


def _span(segment: Segment, trace: Trace, recording: bool, previous: Any) -> Span:
    span = Span()
    span.segment = segment
    span.trace = trace
    span.recording = recording
    span._previous = previous  # noqa: SLF001
    span._ended = False  # noqa: SLF001
    return span


_UNRECORDED = Trace(False, False)


def _disown() -> None:
    """In a forked child: the spans that were open at the fork are the parent's, which ends them. They stay parents here."""
    node = _current()
    while node is not None and node is not _NOWHERE:
        span = node if type(node) is Span else node.span
        if span is None:
            return
        span.recording = False
        node = span._previous  # noqa: SLF001


forks.in_child(_disown)


def unrecorded() -> Span:
    """A span under which nothing is recorded, to set as the current node: for fluoro's own network calls."""
    span = _span(Segment(new_trace_id(), new_span_id(), 0, "", 0), _UNRECORDED, False, _NOWHERE)
    span._ended = True  # noqa: SLF001
    return span


def is_unrecorded(span: Span) -> bool:
    """Whether `span` is one from `unrecorded`, or below it: not even trace headers belong into such a call."""
    return span.trace is _UNRECORDED


def new_trace_id() -> bytes:
    """16 bytes: the epoch second, then 96 random bits. Valid for X-Ray and W3C; neighbours in time sort together."""
    return _trace_id(int(time()), _bits(32), _bits(64))


def new_span_id() -> int:
    """A non-zero random 64-bit int."""
    return _bits(64) or 1


def _live(node: Any) -> Any:
    """The node to continue from: a span that was ended while it was not current is skipped.

    One that was ended normally and is still held by the context of a task or thread it started stays the parent there
    for a minute: work that outlives its request belongs to it, a poller that a request happened to start does not.
    """
    while type(node) is Span and node._ended and node._previous is not _NOWHERE:  # noqa: SLF001
        node = node._previous  # noqa: SLF001
    if type(node) is Span and node._ended and 0 < node.segment.end < time_ns() - AFTERLIFE_NS:  # noqa: SLF001
        return None
    return node


def _text(value: object) -> str:
    if type(value) is str:
        return value
    try:
        return str.__str__(str(value))  # the plain string also of a subclass
    except Exception:  # noqa: BLE001  a hostile __str__ must not reach the application
        return f"({type(value).__name__} that cannot be read)"


def _fingerprint(error: BaseException) -> tuple[object, ...]:
    """Recognises a propagating exception without holding it: where it is in memory and where it was raised."""
    trace = error.__traceback__
    if trace is None:
        return (id(error), type(error).__qualname__)
    while trace.tb_next is not None:
        trace = trace.tb_next
    return (id(error), type(error).__qualname__, id(trace.tb_frame.f_code), trace.tb_lasti)


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  pathlib is not imported on the hot path
    except OSError:  # it was removed
        return ""


recorder = Recorder()
