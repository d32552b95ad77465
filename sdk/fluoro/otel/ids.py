"""OpenTelemetry's SpanContext ↔ the recorder's spans and `Parent`, and the spans that carry ids and nothing else."""

from __future__ import annotations

from opentelemetry.trace import DEFAULT_TRACE_STATE, NonRecordingSpan, SpanContext, TraceFlags, TraceState

from fluoro.propagation import Parent
from fluoro.recorder import Span as LiveSpan

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED = TraceFlags(TraceFlags.DEFAULT)


class UnsampledSpan(NonRecordingSpan):
    """A span that is not sent; children and outgoing calls still take their trace and the decision from `live`."""

    def __init__(self, live: LiveSpan) -> None:
        super().__init__(span_context(live))
        self.live = live


class RemoteSpan(NonRecordingSpan):
    """A caller's span read from headers. `parent` also says what a SpanContext cannot: "not decided", Lineage."""

    def __init__(self, parent: Parent) -> None:
        super().__init__(
            SpanContext(
                int.from_bytes(parent.trace_id, "big"),
                parent.id,
                is_remote=True,
                trace_flags=_UNSAMPLED if parent.sampled is False else _SAMPLED,
                trace_state=trace_state(parent.trace_state),
            )
        )
        self.parent = parent


def span_context(live: LiveSpan) -> SpanContext:
    """Immutable ids of a span of this process."""
    segment, trace = live.segment, live.trace
    return SpanContext(
        int.from_bytes(segment.trace_id, "big"),
        segment.id,
        is_remote=False,
        trace_flags=_SAMPLED if trace.sampled else _UNSAMPLED,
        trace_state=trace_state(trace.trace_state),
    )


def trace_state(header: str) -> TraceState:
    return TraceState.from_header([header]) if header else DEFAULT_TRACE_STATE


def parent_from(context: SpanContext) -> Parent:
    """A caller whose span somebody else made: another propagator, another SDK in this process."""
    return Parent(
        context.trace_id.to_bytes(16, "big"),
        context.span_id,
        sampled=bool(context.trace_flags & TraceFlags.SAMPLED),
        trace_state=context.trace_state.to_header() if context.trace_state else "",
    )
