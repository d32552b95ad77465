"""Few bytes that would become much memory or work: every decoder has a bound, and honest neighbours stay."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from collections.abc import Callable

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from fluoro.errors import WireError
from fluoro.model import WIRE_VERSION, Batch, Resource
from fluoro.wire import encode_batch
from fluoro_collector.api.xray.request import XRayError, segment_documents
from fluoro_collector.decode import native, otlp, xray
from fluoro_collector.decode.decoded import Decoded
from fluoro_collector.decode.limits import MAX_ATTRIBUTES, MAX_EVENTS, MAX_SEGMENT_BYTES
from memory_store import make_segment
from otlp_requests import export_request

MEBIBYTE = 1 << 20
SIZE = 8 * MEBIBYTE


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _native(elements: bytes, count: int) -> bytes:
    return b"\x93\x01" + msgspec.msgpack.encode(Resource()) + b"\xdd" + struct.pack(">I", count) + elements


SPANS = b'{"resourceSpans":[{"scopeSpans":[{"spans":['
MANY: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "protobuf spans": (otlp.decode_protobuf, _field(1, _field(2, b"\x12\0" * (SIZE // 2)))),
    "protobuf spans, small request": (otlp.decode_protobuf, _field(1, _field(2, b"\x12\0" * 400_000))),
    "protobuf scopes": (otlp.decode_protobuf, _field(1, b"\x12\0" * (SIZE // 2))),
    "protobuf resources": (otlp.decode_protobuf, b"\x0a\0" * (SIZE // 2)),
    "protobuf resource attributes": (otlp.decode_protobuf, _field(1, _field(1, b"\x0a\0" * (SIZE // 2)))),
    "json spans": (otlp.decode_json, SPANS + b"{}," * 200_000 + b"{}]}]}]}"),
    "json lists": (otlp.decode_json, b'{"x":[' + b"[]," * (SIZE // 3) + b"[]]}"),
    "native nil": (native.decode, _native(b"\xc0" * SIZE, SIZE)),
    "native empty lists": (native.decode, _native(b"\x90" * SIZE, SIZE)),
    "x-ray lists": (segment_documents, b'{"TraceSegmentDocuments":["a"],"x":[' + b"[]," * (SIZE // 3) + b"[]]}"),
    "x-ray documents": (segment_documents, b'{"TraceSegmentDocuments":[' + b'"",' * 50_000 + b'""]}'),
}


@pytest.mark.parametrize("what", MANY)
def test_a_request_of_many_empty_things_is_refused_before_it_fills_memory(what: str) -> None:
    decode, data = MANY[what]
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises((WireError, XRayError)) as refused:
            decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "[]" not in str(refused.value)
    assert peak < 64 * MEBIBYTE, f"{peak >> 20} MiB"
    assert time.process_time() - started < 20


def test_free_form_values_are_counted_over_the_whole_batch() -> None:
    hollow = {"default": {"x": [[] for _ in range(400_000)]}}
    segments = [make_segment(number, metadata=hollow) for number in range(1, 5)]
    with pytest.raises(WireError, match="more than 1000000 items"):
        native.decode(encode_batch(Batch(WIRE_VERSION, Resource(), segments)))


def test_a_segment_that_is_too_large_is_refused_and_the_others_kept() -> None:
    large = {"default": {"x": "y" * MAX_SEGMENT_BYTES}}
    segments = [make_segment(1), make_segment(2, metadata=large), make_segment(3)]
    decoded = native.decode(encode_batch(Batch(WIRE_VERSION, Resource("shop"), segments)))
    assert [segment.id for segment in decoded.batches[0][1]] == [1, 3]
    assert [rejection.code for rejection in decoded.rejections] == ["TooLarge"]


def test_a_resource_that_is_too_large_is_refused() -> None:
    resource = Resource("shop", attributes={"x": "y" * 2 * MEBIBYTE})
    with pytest.raises(WireError, match="larger than"):
        native.decode(encode_batch(Batch(WIRE_VERSION, resource, [make_segment(1)])))


def test_a_large_otlp_request_is_the_same_whether_read_whole_or_by_the_span() -> None:
    request = export_request(*range(1, 3000))
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.attributes.add(key="k").value.string_value = "v" * 400
    data = request.SerializeToString()
    assert len(data) > MEBIBYTE
    by_span = otlp.decode_protobuf(data)
    whole = Decoded([], [])
    for first in range(0, 2999, 1000):
        part = ExportTraceServiceRequest.FromString(data)
        del part.resource_spans[0].scope_spans[0].spans[first + 1000 :]
        del part.resource_spans[0].scope_spans[0].spans[:first]
        whole.batches.extend(otlp.decode_protobuf(part.SerializeToString()).batches)
    assert by_span.rejections == []
    assert by_span.batches[0][1] == [segment for _, segments in whole.batches for segment in segments]
    assert by_span.batches[0][0] == whole.batches[0][0]


@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_events_links_and_attributes_over_the_limit_are_counted_as_dropped(form: str) -> None:
    request = export_request(1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for number in range(MAX_EVENTS + 5):
        span.events.add(name=f"e{number}")
        span.links.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8)
    for number in range(MAX_ATTRIBUTES + 7):
        span.attributes.add(key=f"k{number}").value.int_value = number
    span.dropped_events_count = 3
    if form == "protobuf":
        decoded = otlp.decode_protobuf(request.SerializeToString())
    else:
        tree = {
            "traceId": span.trace_id.hex(),
            "spanId": span.span_id.hex(),
            "name": "n",
            "startTimeUnixNano": "1",
            "endTimeUnixNano": "2",
            "droppedEventsCount": 3,
            "events": [{"name": event.name} for event in span.events],
            "links": [{"traceId": "01" * 16, "spanId": "02" * 8} for _ in span.links],
            "attributes": [{"key": each.key, "value": {"intValue": "1"}} for each in span.attributes],
        }
        decoded = otlp.decode_json(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [tree]}]}]}).encode())
    (segment,) = decoded.batches[0][1]
    assert len(segment.events or ()) == MAX_EVENTS
    assert len(segment.links or ()) == MAX_EVENTS
    assert segment.metadata is not None
    assert segment.metadata["otel"] == {
        "dropped_attributes_count": 7,
        "dropped_events_count": 8,
        "dropped_links_count": 5,
    }


def test_a_document_of_bad_subsegments_costs_a_few_rejections() -> None:
    good = {"id": "00000000000000f1", "name": "n", "trace_id": "1-6543210f-000102030405060708090a0b",
            "start_time": 1, "end_time": 2}  # fmt: skip
    decoded = xray.decode([json.dumps(good | {"subsegments": [{}] * 15_000}), json.dumps(good)])
    assert len(decoded.rejections) == 11
    assert [segment.id for _, segments in decoded.batches for segment in segments] == [0xF1, 0xF1]
