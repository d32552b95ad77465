"""Which entity is current. It is fluoro's current span: a context variable, so each task and thread has its own."""

from __future__ import annotations

import logging
import os

from fluoro.compat.aws_xray_sdk import global_sdk_config
from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import SegmentNotFoundException
from fluoro.compat.aws_xray_sdk.core.models._view import entity_of
from fluoro.compat.aws_xray_sdk.core.models.dummy_entities import DummySegment
from fluoro.compat.aws_xray_sdk.core.models.segment import Segment
from fluoro.compat.aws_xray_sdk.core.models.subsegment import Subsegment
from fluoro.context import current_node
from fluoro.recorder import recorder

log = logging.getLogger(__name__)

MISSING_SEGMENT_MSG = "cannot find the current segment/subsegment, please make sure you have a segment open"
SUPPORTED_CONTEXT_MISSING = ("RUNTIME_ERROR", "LOG_ERROR", "IGNORE_ERROR")
CXT_MISSING_STRATEGY_KEY = "AWS_XRAY_CONTEXT_MISSING"

_Entity = Segment | Subsegment


class Context:
    """`context_missing` says what happens when there is no current entity: RUNTIME_ERROR raises
    SegmentNotFoundException, LOG_ERROR logs, IGNORE_ERROR does nothing. A subclass may override any method.
    """

    def __init__(self, context_missing: str = "LOG_ERROR") -> None:
        self._context_missing = os.environ.get(CXT_MISSING_STRATEGY_KEY, context_missing)

    def put_segment(self, segment: Segment) -> None:
        """Make `segment` current. One that is open is left open, and not current again afterwards."""
        if not segment.was_put:
            segment.outside = _outside()
            segment.was_put = True
        current_node.set(segment.outside)
        _make_current(segment)

    def end_segment(self, end_time: float | None = None) -> None:
        entity = self.get_trace_entity()
        if not entity:
            log.warning("No segment to end")
            return
        segment = entity.parent_segment if isinstance(entity, Subsegment) else entity
        segment.close(end_time)

    def put_subsegment(self, subsegment: Subsegment) -> None:
        """Make `subsegment` current, a child of the entity that was."""
        entity = self.get_trace_entity()
        if not entity:
            log.warning("Active segment or subsegment not found. Discarded %s.", subsegment.name)
            return
        entity.add_subsegment(subsegment)
        recorder.activate(subsegment.span)

    def end_subsegment(self, end_time: float | None = None) -> bool:
        """False if no subsegment is current."""
        entity = self.get_trace_entity()
        if isinstance(entity, Subsegment):
            entity.close(end_time)
            return True
        if not isinstance(entity, DummySegment):
            log.warning("No subsegment to end.")
        return False

    def get_trace_entity(self) -> _Entity | None:
        span = recorder.current()
        if span is not None:
            return entity_of(span)
        if not global_sdk_config.sdk_enabled():
            return DummySegment()
        self.handle_context_missing()
        return None

    def set_trace_entity(self, trace_entity: _Entity | None) -> None:
        """Continue here with an entity from elsewhere: another thread, a callback."""
        current_node.set(None)
        if trace_entity is not None:
            _make_current(trace_entity)

    def clear_trace_entities(self) -> None:
        current_node.set(None)

    def handle_context_missing(self) -> None:
        if self.context_missing == "RUNTIME_ERROR":
            raise SegmentNotFoundException(MISSING_SEGMENT_MSG)
        if self.context_missing == "LOG_ERROR":
            log.error(MISSING_SEGMENT_MSG)

    @property
    def context_missing(self) -> str | None:
        return self._context_missing

    @context_missing.setter
    def context_missing(self, value: str) -> None:
        if value in SUPPORTED_CONTEXT_MISSING:
            self._context_missing = value
        else:
            log.warning("specified context_missing not supported, using default.")


def _make_current(entity: _Entity) -> None:
    recorder.activate(entity.span)
    current_node.set(entity.span)  # also a span that was current elsewhere


def _outside() -> object:
    """What is current around the outermost segment that was put here: what a request that fluoro serves goes on with."""
    span = recorder.current()
    if span is None:
        return None
    entity = entity_of(span)
    segment = entity.parent_segment if isinstance(entity, Subsegment) else entity
    return segment.outside if segment.was_put else current_node.get()
