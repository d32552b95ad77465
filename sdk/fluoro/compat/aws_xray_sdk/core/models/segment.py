from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

from fluoro.compat.aws_xray_sdk.core._choices import choices
from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import SegmentNameMissingException
from fluoro.compat.aws_xray_sdk.core.models.entity import Entity, clean, hex_id
from fluoro.model import Kind
from fluoro.propagation import Parent, parse_trace_id
from fluoro.recorder import Span, new_trace_id, recorder


class SegmentContextManager:
    """`with xray_recorder.in_segment(…) as segment`."""

    def __init__(self, recorder: Any, name: str | None = None, **segment_kwargs: Any) -> None:
        self.name = name
        self.segment_kwargs = segment_kwargs
        self.recorder = recorder
        self.segment: Segment | None = None

    def __enter__(self) -> Segment | None:
        self.segment = self.recorder.begin_segment(name=self.name, **self.segment_kwargs)
        return self.segment

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        if self.segment is None:
            return
        if exc_type is not None:
            self.segment.add_exception(exc_val, traceback.extract_tb(exc_tb, limit=self.recorder.max_trace_back))
        self.recorder.end_segment()


class Segment(Entity):
    """What a service was asked to do. It is sent when it ends, and becomes current by `put_segment`."""

    was_put = False  # by `put_segment`, where `outside` was current
    outside: Any = None

    def __init__(
        self,
        name: str,
        entityid: str | None = None,
        traceid: str | None = None,
        parent_id: str | None = None,
        sampled: bool = True,
    ) -> None:
        if not name:
            raise SegmentNameMissingException("Segment name is required.")
        name = clean(name)
        super().__init__(_begin(name, traceid, parent_id, sampled=sampled), name)
        if entityid:
            self.id = entityid

    @classmethod
    def of(cls, span: Span) -> Segment:
        """The view of a span that somebody else has begun."""
        segment = cls.__new__(cls)
        Entity.__init__(segment, span)
        return segment

    @property
    def user(self) -> str | None:
        return self._segment.user or None

    @user.setter
    def user(self, value: str) -> None:
        self.set_user(value)

    @property
    def origin(self) -> str | None:
        return self._segment.origin or None

    @origin.setter
    def origin(self, value: str) -> None:
        if self._span.recording:
            self._segment.origin = str(value)

    @property
    def service(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.to_dict().get("service")
        return found

    def set_user(self, user: str) -> None:
        self._check_ended()
        if self._span.recording:
            self._segment.user = str(user)

    def set_service(self, service_info: dict[str, Any]) -> None:
        """The runtime is told once for the whole process; what is said here is not recorded."""

    def set_rule_name(self, rule_name: str) -> None:
        """The sampling rule that chose this."""
        if self._span.recording:
            aws = self._segment.aws or {}
            self._segment.aws = {**aws, "xray": {**aws.get("xray", {}), "sampling_rule_name": rule_name}}

    def ready_to_send(self) -> bool:
        return False  # it has been sent, or is open


def _begin(name: str, traceid: str | None, parent_id: str | None, *, sampled: bool) -> Span:
    trace = parse_trace_id(traceid or "")
    if not any(trace):
        trace = new_trace_id()
    choices.start()
    return recorder.start_segment("", Kind.INTERNAL, Parent(trace, hex_id(parent_id), sampled), name)
