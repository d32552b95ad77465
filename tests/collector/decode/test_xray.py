from __future__ import annotations

import json
from typing import Any

import pytest

from fluoro_collector.decode.xray import decode
from golden_segments import cases, told

TRACE = "1-6543210f-000102030405060708090a0b"
GOOD: dict[str, Any] = {
    "name": "shop",
    "id": "00000000000000a1",
    "trace_id": TRACE,
    "start_time": 1_700_000_000.25,
    "end_time": 1_700_000_000.5,
}


def without(*keys: str, **changes: Any) -> str:
    return json.dumps({key: value for key, value in (GOOD | changes).items() if key not in keys})


@pytest.mark.parametrize("case", cases("xray_*.json"), ids=lambda case: case["case"])
def test_golden_documents(case: dict[str, Any]):
    decoded = decode([json.dumps(document) for document in case["documents"]])
    assert decoded.rejections == []
    found = [
        {
            "resource": told(resource),
            "segments": [told(segment) for segment in sorted(segments, key=lambda segment: segment.id)],
        }
        for resource, segments in decoded.batches
    ]
    assert found == case["batches"]


@pytest.mark.parametrize(
    ("document", "code", "shown"),
    [
        ("not json", "InvalidSegment", ""),
        (b"\xff\xfe", "InvalidSegment", ""),
        ("\ud800", "InvalidSegment", ""),
        ("[1]", "InvalidSegment", ""),
        ("", "InvalidSegment", ""),
        ("[" * 60_000, "InvalidSegment", ""),
        (without(padding="x" * 65_536), "InvalidSegment", ""),
        (without(padding="é" * 40_000).encode().decode("unicode_escape"), "InvalidSegment", ""),
        (without("trace_id"), "InvalidTraceId", "00000000000000a1"),
        (without(trace_id="1-0-0"), "InvalidTraceId", "00000000000000a1"),
        (without(trace_id=3), "InvalidTraceId", "00000000000000a1"),
        (without(trace_id="1-00000000-" + "0" * 24), "InvalidTraceId", "00000000000000a1"),
        (without("id"), "MissingId", ""),
        (without(id=""), "MissingId", ""),
        (without(id="a1"), "InvalidSegment", ""),
        (without(id="0" * 16), "InvalidSegment", ""),
        (without(id="+000000000000_a1"), "InvalidSegment", ""),
        (without("name"), "MissingName", "00000000000000a1"),
        (without(name=""), "MissingName", "00000000000000a1"),
        (without(name=7), "MissingName", "00000000000000a1"),
        (without(name="n" * 201), "InvalidName", "00000000000000a1"),
        (without("start_time"), "InvalidSegment", "00000000000000a1"),
        (without(start_time="soon"), "InvalidSegment", "00000000000000a1"),
        (without(start_time=True), "InvalidSegment", "00000000000000a1"),
        (without(start_time=1e300), "InvalidSegment", "00000000000000a1"),
        (without("end_time"), "InvalidSegment", "00000000000000a1"),
        (without("end_time", in_progress=False), "InvalidSegment", "00000000000000a1"),
        (without(parent_id="xyz"), "InvalidSegment", "00000000000000a1"),
    ],
)
def test_a_bad_document_is_refused_alone_with_xrays_code(document: str | bytes, code: str, shown: str):
    decoded = decode([without(id="00000000000000b1"), document, without(id="00000000000000b2")])
    assert [(rejection.code, rejection.id) for rejection in decoded.rejections] == [(code, shown)]
    [(_, segments)] = decoded.batches
    assert [segment.id for segment in segments] == [0xB1, 0xB2]


def test_a_bad_subsegment_takes_what_is_below_it_and_nothing_else():
    below = GOOD | {"id": "00000000000000c3"}
    bad = {key: value for key, value in GOOD.items() if key != "name"} | {
        "id": "00000000000000c1",
        "subsegments": [below],
    }
    decoded = decode([without(subsegments=[bad, 3, GOOD | {"id": "00000000000000c2"}])])
    assert [rejection.code for rejection in decoded.rejections] == ["MissingName", "InvalidSegment"]
    [(_, segments)] = decoded.batches
    assert [(segment.id, segment.parent_id) for segment in segments] == [(0xA1, 0), (0xC2, 0xA1)]


def test_subsegments_nest_to_any_depth_that_fits_a_document():
    document: dict[str, Any] = {"id": f"{1:016x}", "name": "n", "start_time": 1, "end_time": 2}
    for number in range(2, 250):
        document = {"id": f"{number:016x}", "name": "n", "start_time": 1, "end_time": 2, "subsegments": [document]}
    decoded = decode([json.dumps(document | {"trace_id": TRACE})])
    assert decoded.rejections == []
    [(_, segments)] = decoded.batches
    assert [segment.parent_id for segment in segments] == [0, *range(249, 1, -1)]
    assert {segment.service for segment in segments[1:]} == {"n"}


def test_times_keep_their_microseconds():
    starts = [1_700_000_000.000001, 1_700_000_000.999999, "1700000000.123457"]
    decoded = decode([without(start_time=start) for start in starts])
    [(_, segments)] = decoded.batches
    assert [segment.start % 1_000_000_000 for segment in segments] == [1_000, 999_999_000, 123_457_000]


def test_documents_of_one_service_share_a_resource():
    decoded = decode([without(), without(id="00000000000000a2"), without(name="other")])
    assert [(resource.service_name, len(segments)) for resource, segments in decoded.batches] == [
        ("shop", 2),
        ("other", 1),
    ]


def test_integers_beyond_64_bits_become_floats():
    [(_, [segment])] = decode([without(annotations={"n": 10**30}, metadata={"default": {"n": [10**30]}})]).batches
    assert segment.annotations == {"n": 1e30}
    assert segment.metadata == {"default": {"n": [1e30]}}


def test_the_operation_that_our_sdk_sends_over_udp_is_read_back():
    document = without(metadata={"fluoro": {"operation": "GET /orders/{id}", "trimmed": "stack"}})
    [(_, [segment])] = decode([document]).batches
    assert segment.operation == "GET /orders/{id}"
    assert segment.metadata == {"fluoro": {"trimmed": "stack"}}
    [(_, [other])] = decode([without(metadata={"fluoro": {"operation": 7}})]).batches
    assert other.metadata == {"fluoro": {"operation": 7}}


def test_metadata_that_nests_too_deeply_is_refused():
    value: Any = 1
    for _ in range(80):
        value = [value]
    assert [rejection.code for rejection in decode([without(metadata={"default": {"x": value}})]).rejections] == [
        "InvalidSegment"
    ]
