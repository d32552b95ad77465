"""The current span → the entity that shows it, whoever has begun the span."""

from __future__ import annotations

from fluoro.compat.aws_xray_sdk.core.models.dummy_entities import DummySegment
from fluoro.compat.aws_xray_sdk.core.models.facade_segment import FacadeSegment
from fluoro.compat.aws_xray_sdk.core.models.segment import Segment
from fluoro.compat.aws_xray_sdk.core.models.subsegment import Subsegment
from fluoro.model import Segment as Record
from fluoro.propagation import Parent
from fluoro.recorder import Span, recorder


def entity_of(span: Span) -> Segment | Subsegment:
    """Always the same one for the same span."""
    found: Segment | Subsegment | None = getattr(span, "view", None)
    if found is not None:
        return found
    if not span.trace.recording:
        return DummySegment.of(span)
    if span.segment.start == 0:  # a handle of what another process sends
        return FacadeSegment.of(span)
    if span.segment.subsegment:
        return Subsegment.of(span, _segment_above(span))
    return Segment.of(span)


def _segment_above(span: Span) -> Segment:
    """The segment that `span` is in; a stand-in where that is not known here: the span's parent."""
    above = getattr(span._previous, "span", None)  # noqa: SLF001
    if isinstance(above, Span) and above.segment.trace_id == span.segment.trace_id:
        entity = entity_of(above)
        return entity.parent_segment if isinstance(entity, Subsegment) else entity
    segment = span.segment
    parent = recorder.remote(Parent(segment.trace_id, segment.parent_id or segment.id, span.trace.sampled))
    return FacadeSegment.of(parent)


def detached(segment: Record) -> Segment | Subsegment:
    """An entity of a span that has ended, for an emitter."""
    span = recorder.remote(Parent(segment.trace_id, segment.id, True))
    span.segment = segment
    if segment.subsegment:
        above = recorder.remote(Parent(segment.trace_id, segment.parent_id or segment.id, True))
        return Subsegment.of(span, FacadeSegment.of(above))
    return Segment.of(span)
