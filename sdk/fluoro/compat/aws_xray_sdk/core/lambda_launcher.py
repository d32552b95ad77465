"""In AWS Lambda, where the service has a segment of its own for each invocation, named by `_X_AMZN_TRACE_ID`."""

from __future__ import annotations

import logging
import os

from fluoro.compat.aws_xray_sdk import global_sdk_config
from fluoro.compat.aws_xray_sdk.core.context import Context
from fluoro.compat.aws_xray_sdk.core.models._view import entity_of
from fluoro.compat.aws_xray_sdk.core.models.dummy_entities import DummySegment
from fluoro.compat.aws_xray_sdk.core.models.segment import Segment
from fluoro.compat.aws_xray_sdk.core.models.subsegment import Subsegment
from fluoro.context import current_node
from fluoro.propagation import parse_xray
from fluoro.recorder import recorder

log = logging.getLogger(__name__)

LAMBDA_TRACE_HEADER_KEY = "_X_AMZN_TRACE_ID"
LAMBDA_TASK_ROOT_KEY = "LAMBDA_TASK_ROOT"
_FLUSH_S = 2.0


def check_in_lambda() -> LambdaContext | None:
    return LambdaContext() if os.environ.get(LAMBDA_TASK_ROOT_KEY) else None


class LambdaContext(Context):
    """Subsegments go below the invocation's segment: fluoro's if its handler is traced, else a FacadeSegment of the
    service's. Segments cannot be begun. The last subsegment to end waits until all are sent: Lambda freezes the process
    after the answer.
    """

    def put_segment(self, segment: Segment) -> None:  # noqa: ARG002
        log.warning("Cannot create segments inside Lambda function. Discarded.")

    def end_segment(self, end_time: float | None = None) -> None:  # noqa: ARG002
        log.warning("Cannot end segment inside Lambda function. Ignored.")

    def end_subsegment(self, end_time: float | None = None) -> bool:
        ended = super().end_subsegment(end_time)
        span = recorder.current()
        if ended and span is not None and span.segment.start == 0 and recorder.flush is not None:
            recorder.flush(_FLUSH_S)
        return ended

    def get_trace_entity(self) -> Segment | Subsegment | None:
        span = recorder.current()
        parent = parse_xray(os.environ.get(LAMBDA_TRACE_HEADER_KEY, ""))
        if span is not None and (parent is None or parent.trace_id == span.segment.trace_id):
            return entity_of(span)
        if parent is None or not parent.id or parent.sampled is None or not global_sdk_config.sdk_enabled():
            return DummySegment()
        from fluoro.compat.aws_xray_sdk.core._choices import choices

        choices.start()
        span = recorder.remote(parent)
        current_node.set(span)
        return entity_of(span)

    @property
    def context_missing(self) -> str | None:
        return None

    @context_missing.setter
    def context_missing(self, value: str) -> None:
        """There is always a segment."""

    def handle_context_missing(self) -> None:
        """Nothing."""
