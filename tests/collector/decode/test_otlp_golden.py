"""Every row of the semantic mapping, from both encodings of OTLP."""

from __future__ import annotations

from typing import Any

import pytest

from fluoro_collector.decode.otlp import decode_json, decode_protobuf
from fluoro_collector.decode.peer import peer
from golden_segments import IDENTITY, cases, told
from otlp_cases import PARENT_ID, SPAN_ID, START, TRACE_ID, json_bytes, protobuf_bytes

CASES = cases("otlp_*.json")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_json_and_protobuf_give_the_golden_segment(case: dict[str, Any]):
    decoded = decode_json(json_bytes(case))
    assert decoded == decode_protobuf(protobuf_bytes(case))
    assert decoded.rejections == []
    [(resource, [segment])] = decoded.batches

    found = told(segment, IDENTITY)
    assert found["metadata"].pop("otel") == {"scope.name": "lib", "scope.version": "2"}
    if not found["metadata"]:
        del found["metadata"]
    assert found == case["segment"]
    assert list(peer(segment)) == case.get("peer", ["", ""])
    if "resource_read" in case:
        assert told(resource) == case["resource_read"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_ids_and_times_are_the_spans_own(case: dict[str, Any]):
    [(_, [segment])] = decode_json(json_bytes(case)).batches
    assert (segment.trace_id, segment.id) == (TRACE_ID, int.from_bytes(SPAN_ID, "big"))
    assert segment.parent_id == (int.from_bytes(PARENT_ID, "big") if case["span"].get("parent") else 0)
    assert (segment.start, segment.end) == (START, START + 5_000_000)
