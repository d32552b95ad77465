"""OpenTelemetry's `Span` on top of a recorder's span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from time import time_ns
from types import MappingProxyType, TracebackType
from typing import Any

from opentelemetry.trace import Link as ApiLink
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import (
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
)

from fluoro import diagnostics
from fluoro.model import Event, Kind, Link, Segment
from fluoro.otel.ids import span_context
from fluoro.otel.limits import Limits, cut
from fluoro.otel.redaction import redact
from fluoro.otel.semantics import apply, explain
from fluoro.otel.values import PLAIN, copied, plain
from fluoro.recorder import Span as LiveSpan

KINDS = tuple(SpanKind)  # SpanKind's numbers are Kind's
_UNSET, _OK, _ERROR = StatusCode.UNSET, StatusCode.OK, StatusCode.ERROR
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Span(ApiSpan):
    """A span started through OpenTelemetry's API.

    Attributes are kept as they were given; when the span ends, `semantics.apply` turns them into the segment's
    fields, exactly as the collector does for a span that arrives by OTLP. Writes after the end are ignored.
    """

    _record_exception = True
    _set_status_on_exception = True
    _status_code = _UNSET
    _status_text: str | None = None
    _span_context: SpanContext | None = None
    _end_time: int | None = None
    _dropped_attributes = _dropped_events = _dropped_links = 0

    def __init__(
        self,
        live: LiveSpan,
        name: str,
        attributes: dict[str, Any],
        scope: Scope,
        parent: ApiSpan | None,
    ) -> None:
        self.live = live
        self._name = name
        self._attributes = attributes
        self._scope = scope
        self._parent = parent

    def get_span_context(self) -> SpanContext:
        found = self._span_context
        if found is None:
            found = self._span_context = span_context(self.live)
        return found

    def is_recording(self) -> bool:
        return self.live.recording

    def set_attribute(self, key: str, value: Any) -> None:
        if self.live.recording and value is not None:
            if value.__class__ not in PLAIN:
                value = plain(value)
            if key.__class__ is not str:
                key = str(key)
            attributes = self._attributes
            if len(attributes) < self._scope.max_attributes or key in attributes:
                attributes[key] = value
            else:
                self._dropped_attributes += 1

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        if self.live.recording:
            limits, segment = self._scope.limits, self.live.segment
            if segment.events is None:
                segment.events = []
            if len(segment.events) < limits.events:
                held = bounded(attributes, limits.event_attributes, limits.length)
                segment.events.append(Event(str(name), timestamp or time_ns(), held))
            else:
                self._dropped_events += 1

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        if self.live.recording and context is not None and context.is_valid:
            limits, segment = self._scope.limits, self.live.segment
            if segment.links is None:
                segment.links = []
            if len(segment.links) < limits.links:
                held = bounded(attributes, limits.link_attributes, limits.length)
                segment.links.append(Link(context.trace_id.to_bytes(16, "big"), context.span_id, held))
            else:
                self._dropped_links += 1

    def update_name(self, name: str) -> None:
        if self.live.recording:
            self._name = str(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """OK is final, UNSET is ignored, a description counts only with ERROR."""
        if not self.live.recording or self._status_code is _OK:
            return
        if isinstance(status, Status):
            code, text = status.status_code, status.description
        else:
            code, text = status, description
        if code is _UNSET:
            return
        self._status_code = code
        self._status_text = text if code is _ERROR else None

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """The exception becomes the cause. What a cause has no place for (attributes, another time than the span's end,
        "escaped") is kept in an event.
        """
        live = self.live
        if live.recording:
            live.record_exception(exception, remote=live.segment.kind in (Kind.CLIENT, Kind.PRODUCER))
            if attributes or timestamp or escaped:
                beside = {**(attributes or {}), "exception.escaped": True} if escaped else attributes
                self.add_event("exception", beside, timestamp)

    def end(self, end_time: int | None = None) -> None:
        live = self.live
        if live.recording:
            self._end_time = end_time or time_ns()
            try:
                self._translate(live.segment)
            except Exception as bug:  # noqa: BLE001  an attribute nobody thought of must not reach the application
                diagnostics.internal_error("otel.end", bug)
            live.end(self._end_time)
            for processor in self._scope.processors:
                processor.on_end(self)
        else:
            live.end()

    def _translate(self, segment: Segment) -> None:
        failed = self._status_code is _ERROR
        attributes = dict(self._attributes)
        length = self._scope.limits.length
        if length:
            cut(attributes, length)
        redact(attributes)
        apply(segment, self._name, attributes, segment.name, failed)
        if segment.cause is None:
            if segment.events:
                _explain_by_event(segment, segment.events)
            if failed and self._status_text and segment.cause is None:
                explain(segment, self._status_text)
        scope = self._scope.metadata
        if self._dropped_attributes or self._dropped_events or self._dropped_links:
            counts = {
                "dropped_attributes_count": self._dropped_attributes,
                "dropped_events_count": self._dropped_events,
                "dropped_links_count": self._dropped_links,
            }
            scope = scope | {name: count for name, count in counts.items() if count}
        if scope:
            if segment.metadata is None:
                segment.metadata = {"otel": scope}
            else:
                segment.metadata["otel"] = scope

    def fail(self, error: BaseException | None) -> None:
        """What leaving a `with` block by `error` does: only an Exception is an error, an exit or a cancellation is not."""
        if isinstance(error, Exception) and self.live.recording:
            if self._record_exception:
                self.record_exception(error)
            if self._set_status_on_exception:
                self.set_status(_ERROR, diagnostics.describe(error))

    def __enter__(self) -> Span:  # noqa: PYI034  Self is not in Python 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.fail(error)
        self.end()

    # What processors, instrumentations and tests read besides the API; names as in OpenTelemetry's SDK.

    @property
    def name(self) -> str:
        return self._name

    @property
    def kind(self) -> SpanKind:
        return KINDS[self.live.segment.kind]

    @property
    def context(self) -> SpanContext:
        return self.get_span_context()

    @property
    def parent(self) -> SpanContext | None:
        return self._parent.get_span_context() if self._parent is not None else None

    @property
    def attributes(self) -> Mapping[str, Any]:
        return MappingProxyType(self._attributes)

    @property
    def status(self) -> Status:
        return Status(self._status_code, self._status_text)

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(self.live.segment.events or ())

    @property
    def links(self) -> tuple[ApiLink, ...]:
        return tuple(
            ApiLink(SpanContext(int.from_bytes(link.trace_id, "big"), link.id, is_remote=True), link.attributes or {})
            for link in self.live.segment.links or ()
        )

    @property
    def start_time(self) -> int:
        return self.live.segment.start

    @property
    def end_time(self) -> int | None:
        return self._end_time

    @property
    def resource(self) -> Any:
        return self._scope.resource

    @property
    def instrumentation_scope(self) -> Scope:
        return self._scope


class Scope:
    """An instrumentation scope: what all spans of one tracer share. `metadata` goes into each segment, by reference."""

    __slots__ = ("instruments", "limits", "max_attributes", "metadata", "name", "processors", "resource", "version")

    def __init__(
        self, name: str, version: str | None, processors: Sequence[Any], resource: Any, limits: Limits
    ) -> None:
        self.name = name
        self.version = version
        self.processors = processors
        self.resource = resource
        self.limits = limits
        self.max_attributes = limits.attributes
        # Whether a library's calls are recorded by it, and not an application's own steps.
        self.instruments = name.startswith(("opentelemetry.instrumentation.", "opentelemetry.util.", "openinference."))
        named: dict[str, Any] = {"scope.name": name, "scope.version": version}
        self.metadata = {key: value for key, value in named.items() if value}


_NATIVE = Scope("fluoro", None, (), None, Limits())


class NativeSpan(Span):
    """OpenTelemetry's view of a span that one of our own instrumentations made, or `fluoro.span`.

    Its segment is already in its final form, so writes go straight to it.
    """

    def __init__(self, live: LiveSpan) -> None:
        segment = live.segment
        super().__init__(live, segment.operation or segment.name, _NO_ATTRIBUTES, _NATIVE, None)

    def set_attribute(self, key: str, value: Any) -> None:
        if value.__class__ in PLAIN:
            self.live.annotate(str(key), value)  # type: ignore[arg-type]  # the class was tested
        elif value is not None:
            self.live.metadata(key, plain(value))

    def update_name(self, name: str) -> None:
        """The operation of a service's entry or a call; internal work is renamed."""
        if self.live.recording:
            self._name = str(name)
            segment = self.live.segment
            if segment.subsegment and not segment.namespace:
                segment.name = self._name
            else:
                segment.operation = self._name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        super().set_status(status, description)
        if self._status_code is _ERROR and self.live.recording:
            segment = self.live.segment
            if not segment.error:
                segment.fault = True
            if self._status_text and segment.cause is None:
                explain(segment, self._status_text)

    def end(self, end_time: int | None = None) -> None:
        self.live.end(end_time or 0)

    @property
    def attributes(self) -> Mapping[str, Any]:
        return MappingProxyType(self.live.segment.annotations) if self.live.segment.annotations else _NOTHING


_NO_ATTRIBUTES: dict[str, Any] = {}


def _explain_by_event(segment: Segment, events: list[Event]) -> None:
    """An exception that an instrumentation wrote as an event by itself; the event stays, with the stack it has as text."""
    for event in events:
        told = event.attributes or {}
        if event.name == "exception" and ("exception.type" in told or "exception.message" in told):
            explain(segment, str(told.get("exception.message", "")))
            if segment.cause is not None:
                segment.cause.exceptions[0].type = str(told.get("exception.type", ""))
            return


def bounded(attributes: Mapping[str, Any] | None, count: int, length: int) -> dict[str, Any] | None:
    """The attributes of an event or a link; None if it has none."""
    held = copied(attributes)
    if len(held) > count:
        held = dict(islice(held.items(), count))
    if length:
        cut(held, length)
    return held or None
