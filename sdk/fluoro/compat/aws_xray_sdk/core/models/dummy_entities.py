"""Entities that are not sampled. They have real ids, which the calls made below them pass on; nothing is sent."""

from __future__ import annotations

from fluoro.compat.aws_xray_sdk.core.models.entity import Entity
from fluoro.compat.aws_xray_sdk.core.models.segment import Segment
from fluoro.compat.aws_xray_sdk.core.models.subsegment import Subsegment
from fluoro.propagation import Parent
from fluoro.recorder import recorder


class DummySegment(Segment):
    def __init__(self, name: str = "dummy") -> None:
        super().__init__(name, sampled=False)

    @classmethod
    def under(cls, name: str, traceid: str | None, parent_id: str | None) -> DummySegment:
        """One in the caller's trace."""
        dummy = cls.__new__(cls)
        Segment.__init__(dummy, name, None, traceid, parent_id, sampled=False)
        return dummy


class DummySubsegment(Subsegment):
    def __init__(self, segment: Segment, name: str = "dummy") -> None:
        """Also below a segment that is sampled."""
        trace, above = segment.span.trace, segment.span.segment
        handle = recorder.remote(Parent(above.trace_id, above.id, False, trace.asked, trace.trace_state, trace.extras))
        Entity.__init__(self, recorder.start(name, above=handle), name)
        self.parent_segment = segment
