from __future__ import annotations

from typing import Any, NoReturn

from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import FacadeSegmentMutationException
from fluoro.compat.aws_xray_sdk.core.models.entity import Entity, hex_id
from fluoro.compat.aws_xray_sdk.core.models.segment import Segment
from fluoro.propagation import Parent, parse_trace_id
from fluoro.recorder import recorder

MUTATION_UNSUPPORTED_MESSAGE = "FacadeSegments cannot be mutated."


class FacadeSegment(Segment):
    """A segment that somebody else sends: AWS Lambda's of this invocation, or a caller's. Only subsegments go below it."""

    def __init__(self, name: str, entityid: str | None, traceid: str | None, sampled: bool | None) -> None:
        parent = Parent(parse_trace_id(traceid or ""), hex_id(entityid), bool(sampled))
        Entity.__init__(self, recorder.remote(parent), name)

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise FacadeSegmentMutationException(MUTATION_UNSUPPORTED_MESSAGE)

    put_annotation = put_metadata = put_http_meta = set_aws = set_user = _refuse
    add_throttle_flag = add_fault_flag = add_error_flag = add_exception = apply_status_code = _refuse
    close = serialize = _refuse
