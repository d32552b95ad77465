"""What is accepted, what is refused and how, in OTLP requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from fluoro.errors import WireError
from fluoro_collector.decode.otlp import decode_json, decode_protobuf
from otlp_cases import json_request, protobuf_bytes

CASE: dict[str, Any] = {"span": {"name": "step", "kind": "INTERNAL", "parent": True, "attributes": {"k": "v"}}}


def request_of(span: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    request = json_request(CASE)
    spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[0] = span if span is not None else spans[0] | changes
    return request


def decode(request: dict[str, Any]):
    return decode_json(json.dumps(request).encode())


def test_an_empty_request_is_valid():
    assert decode_json(b"{}") == decode_protobuf(b"") == ([], [])


def test_a_span_without_an_end_is_in_progress():
    [(_, [segment])] = decode(request_of(endTimeUnixNano=None)).batches
    assert segment.in_progress
    assert segment.end == 0


def test_ids_in_upper_case_and_times_as_numbers():
    span = request_of()["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    request = request_of(traceId=span["traceId"].upper(), startTimeUnixNano=5, endTimeUnixNano="7", unknownField=[1])
    [(_, [segment])] = decode(request).batches
    assert segment.trace_id.hex() == span["traceId"]
    assert (segment.start, segment.end) == (5, 7)


def test_enums_by_name_and_null_fields():
    [(_, [segment])] = decode(request_of(kind="SPAN_KIND_SERVER", status=None, events=None, attributes=None)).batches
    assert segment.kind.name == "SERVER"
    assert segment.annotations is None


def test_values_of_every_type():
    values = {
        "string": {"stringValue": "s"},
        "int as text": {"intValue": "-3"},
        "int": {"intValue": 9},
        "double": {"doubleValue": 1.5},
        "double as int": {"doubleValue": 2},
        "infinite": {"doubleValue": "Infinity"},
        "bool": {"boolValue": False},
        "bytes": {"bytesValue": "_-8"},
        "empty": {},
        "array": {"arrayValue": {"values": [{"intValue": "1"}, {}]}},
        "map": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}},
    }
    attributes = [{"key": key, "value": value} for key, value in values.items()]
    [(_, [segment])] = decode(request_of(attributes=attributes)).batches
    assert segment.annotations == {
        "string": "s",
        "int as text": -3,
        "int": 9,
        "double": 1.5,
        "double as int": 2.0,
        "infinite": float("inf"),
        "bool": False,
    }
    assert segment.metadata is not None
    assert segment.metadata["default"] == {
        "bytes": {"base64": "/+8="},
        "empty": None,
        "array": [1, None],
        "map": {"k": True},
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"traceId": "ab"}, "InvalidTraceId"),
        ({"traceId": "0" * 32}, "InvalidTraceId"),
        ({"traceId": "not hex"}, "InvalidTraceId"),
        ({"traceId": None}, "InvalidTraceId"),
        ({"spanId": ""}, "MissingId"),
        ({"spanId": "0" * 16}, "MissingId"),
        ({"spanId": "AAECAwQFBgc="}, "MissingId"),
        ({"parentSpanId": "12"}, "InvalidSegment"),
        ({"name": 3}, "InvalidSegment"),
        ({"kind": "server"}, "InvalidSegment"),
        ({"startTimeUnixNano": "soon"}, "InvalidSegment"),
        ({"startTimeUnixNano": 1 << 64}, "InvalidSegment"),
        ({"attributes": {}}, "InvalidSegment"),
        ({"attributes": [{"key": "k", "value": 3}]}, "InvalidSegment"),
        ({"attributes": [{"key": "k", "value": {"intValue": "x"}}]}, "InvalidSegment"),
        ({"attributes": [{"key": "k", "value": {"doubleValue": 10**400}}]}, "InvalidSegment"),
        ({"attributes": [{"key": "k", "value": {"bytesValue": "!"}}]}, "InvalidSegment"),
        ({"attributes": [{"key": "k", "value": {"stringValue": 3}}]}, "InvalidSegment"),
        ({"events": [3]}, "InvalidSegment"),
    ],
)
def test_a_bad_span_is_refused_alone(change: dict[str, Any], code: str):
    request = request_of()
    spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans.insert(0, spans[0] | change)
    decoded = decode(request)
    assert [rejection.code for rejection in decoded.rejections] == [code]
    assert [len(segments) for _, segments in decoded.batches] == [1]


def test_an_attribute_that_nests_too_deeply_is_refused_in_both_encodings():
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(80):
        value = {"arrayValue": {"values": [value]}}
    decoded = decode(request_of(attributes=[{"key": "k", "value": value}]))
    assert [rejection.code for rejection in decoded.rejections] == ["InvalidSegment"]

    request = ExportTraceServiceRequest.FromString(protobuf_bytes(CASE))
    attribute = request.resource_spans[0].scope_spans[0].spans[0].attributes[0]
    nested = attribute.value
    for _ in range(20):
        nested = nested.array_value.values.add()
    nested.string_value = "x"
    assert decode_protobuf(request.SerializeToString()).rejections == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"[]",
        b'{"resourceSpans": 3}',
        b'{"resourceSpans": [3]}',
        b'{"resourceSpans": [{"resource": 3}]}',
        b'{"resourceSpans": [{"scopeSpans": {}}]}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": "\\ud800"}',
    ],
)
def test_what_is_no_request_is_a_wire_error(data: bytes):
    with pytest.raises(WireError):
        decode_json(data)


@pytest.mark.parametrize(
    "data", [b"\x0a\xff", b"\xff\xff\xff\xff", b"\x0a\x05ab", b"\x0b", b"\x08", b"\x0a" + b"\xff" * 11]
)
def test_what_is_not_framed_as_protobuf_is_a_wire_error(data: bytes):
    with pytest.raises(WireError):
        decode_protobuf(data)


def test_one_string_that_is_not_utf8_costs_its_span_only():
    request = ExportTraceServiceRequest.FromString(protobuf_bytes(CASE))
    spans = request.resource_spans[0].scope_spans[0].spans
    spans.add().CopyFrom(spans[0])
    spans[1].name = "NOTUTF8"
    request.resource_spans[0].resource.attributes.add(key="host.name").value.string_value = "NOTUTF8"
    data = request.SerializeToString()
    before, last = data.split(b"NOTUTF8", 1)[0], data.split(b"NOTUTF8", 1)[1].replace(b"NOTUTF8", b"\xff\xfeXXXXX")
    decoded = decode_protobuf(before + b"\xff\xfeXXXXX" + last)
    [(resource, [segment])] = decoded.batches
    assert segment == decode_protobuf(protobuf_bytes(CASE)).batches[0][1][0]
    assert resource.service_name == "shop"
    assert resource.attributes == {"fluoro.unreadable_attributes": 1}
    assert [rejection.code for rejection in decoded.rejections] == ["InvalidSegment"]


def test_ten_thousand_attributes_are_kept_and_two_hundred_indexed():
    attributes = [{"key": f"k{n}", "value": {"intValue": n}} for n in range(10_000)]
    [(_, [segment])] = decode(request_of(attributes=attributes)).batches
    assert segment.annotations is not None
    assert segment.metadata is not None
    assert len(segment.annotations) == 200
    assert len(segment.metadata["default"]) == 9_800


def test_links_and_what_the_sender_dropped():
    link = {"traceId": "01" * 16, "spanId": "02" * 8, "attributes": [{"key": "k", "value": {"stringValue": "v"}}]}
    request = request_of(links=[link, link | {"spanId": "03"}], droppedAttributesCount=3, traceState="a=b")
    [(_, [segment])] = decode(request).batches
    assert segment.links is not None
    assert [(linked.trace_id, linked.id, linked.attributes) for linked in segment.links] == [
        (b"\x01" * 16, 0x0202020202020202, {"k": "v"})
    ]
    assert segment.metadata is not None
    assert segment.metadata["otel"]["dropped_attributes_count"] == 3
    assert segment.trace_state == "a=b"
