from __future__ import annotations

import json

import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from fluoro_collector.decode.decoded import Rejection
from fluoro_collector.receivers import status
from fluoro_collector.receivers.refusal import ANSWERS, Refusal


@pytest.mark.parametrize("reason", ANSWERS)
@pytest.mark.parametrize("retry", [0.0, 1.0, 2.5])
def test_googles_own_classes_read_our_status(reason: str, retry: float) -> None:
    refusal = Refusal(reason, "why, in détail", retry)
    read = Status.FromString(status.status_protobuf(refusal))
    assert (read.code, read.message) == (refusal.code, "why, in détail")
    if retry:
        info = RetryInfo()
        assert read.details[0].Unpack(info)
        assert info.retry_delay.ToTimedelta().total_seconds() == retry
        assert refusal.headers == {"Retry-After": "3" if retry == 2.5 else "1"}
    else:
        assert not read.details
        assert refusal.headers == {}
    assert json.loads(status.status_json(refusal))["message"] == "why, in détail"


def test_full_success_has_no_partial_success() -> None:
    assert status.success_protobuf([]) == b""
    assert status.success_json([]) == b"{}"


def test_partial_success_counts_and_explains() -> None:
    rejections = [Rejection("InvalidTraceId", "a trace id has 16 bytes")] * 200 + [Rejection("MissingName", "no name")]
    read = ExportTraceServiceResponse.FromString(status.success_protobuf(rejections))
    assert read.partial_success.rejected_spans == 201
    assert read.partial_success.error_message == "200 InvalidTraceId (a trace id has 16 bytes); 1 MissingName (no name)"
    partial = json.loads(status.success_json(rejections))["partialSuccess"]
    assert partial == {"rejectedSpans": "201", "errorMessage": read.partial_success.error_message}


def test_the_explanation_stays_short() -> None:
    many = [Rejection(f"Code{number}", "x" * 50) for number in range(1000)]
    assert len(status.summary(many)) == status.MAX_MESSAGE
