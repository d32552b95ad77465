"""Whatever arrives, a decoder answers with segments, rejections or WireError, and what it keeps can be stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluoro.errors import WireError
from fluoro.model import WIRE_VERSION, Batch, Resource, Segment
from fluoro.wire import encode_batch
from fluoro_collector.decode import native, otlp, validate, xray
from fluoro_collector.decode.decoded import Decoded
from fluoro_collector.decode.peer import peer
from golden_segments import cases
from otlp_cases import json_bytes, json_request, protobuf_bytes

OTLP = cases("otlp_*.json")
XRAY = [document for case in cases("xray_*.json") for document in case["documents"]]
SEGMENTS = [
    segment for document in XRAY for _, found in xray.decode([json.dumps(document)]).batches for segment in found
]
NATIVE = encode_batch(Batch(WIRE_VERSION, Resource("shop", attributes={"a": [1, "b"]}), SEGMENTS))

DECODERS: dict[str, Callable[[bytes], Decoded]] = {
    "native": native.decode,
    "otlp protobuf": otlp.decode_protobuf,
    "otlp json": otlp.decode_json,
    "xray": lambda data: xray.decode([data]),
}
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def survives(decode: Callable[[bytes], Decoded], data: bytes) -> Decoded | None:
    try:
        decoded = decode(data)
    except WireError as error:
        if not str(error):
            raise
        return None
    for resource, segments in decoded.batches:
        msgspec.json.encode(resource)
        for segment in segments:
            validate.check(segment, 1_700_000_000_000_000_000)
            assert all(isinstance(part, str) for part in peer(segment))
            # The store writes the free-form parts as JSON; this fails for anything that is not.
            msgspec.json.encode([segment.aws, segment.metadata, segment.annotations, segment.events, segment.links])
            assert msgspec.convert(msgspec.to_builtins(segment), Segment) is not None
    return decoded


@pytest.mark.parametrize("door", DECODERS)
@given(data=st.binary(max_size=200))
def test_random_bytes(door: str, data: bytes):
    survives(DECODERS[door], data)


@pytest.mark.parametrize("door", ["otlp json", "xray"])
@given(value=json_values)
def test_random_json(door: str, value: Any):
    survives(DECODERS[door], json.dumps(value).encode())


@given(value=json_values)
def test_random_msgpack(value: Any):
    try:
        data = msgspec.msgpack.encode([WIRE_VERSION, [], [value]])
    except (OverflowError, ValueError):
        return
    survives(native.decode, data)


@st.composite
def mutated(draw: st.DrawFn, valid: list[bytes]) -> bytes:
    """A valid document with a few bytes changed, removed or doubled."""
    data = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                data[at] = draw(st.integers(0, 255))
            case 1:
                del data[at : at + draw(st.integers(1, 30))]
            case 2:
                data[at:at] = data[at : at + draw(st.integers(1, 30))]
            case _:
                del data[at:]
        if not data:
            return b""
    return bytes(data)


VALID = {
    "native": [NATIVE],
    "otlp protobuf": [protobuf_bytes(case) for case in OTLP],
    "otlp json": [json_bytes(case) for case in OTLP],
    "xray": [json.dumps(document).encode() for document in XRAY],
}


@pytest.mark.parametrize("door", DECODERS)
@settings(max_examples=300)
@given(data=st.data())
def test_mutated_bytes(door: str, data: st.DataObject):
    survives(DECODERS[door], data.draw(mutated(VALID[door])))


@st.composite
def transplanted(draw: st.DrawFn, valid: list[Any]) -> Any:
    """A valid JSON document in which one place, anywhere, holds another value."""
    document = json.loads(json.dumps(draw(st.sampled_from(valid))))
    place, key = document, draw(st.sampled_from(sorted(document)))
    while isinstance(place[key], (dict, list)) and place[key] and draw(st.integers(0, 3)):
        place = place[key]
        key = draw(st.sampled_from(sorted(place))) if isinstance(place, dict) else draw(st.integers(0, len(place) - 1))
    place[key] = draw(json_values)
    return document


@settings(max_examples=300)
@given(transplanted([json_request(case) for case in OTLP]))
def test_otlp_json_with_one_value_of_another_type(document: Any):
    survives(otlp.decode_json, json.dumps(document).encode())


@settings(max_examples=300)
@given(transplanted(XRAY))
def test_xray_with_one_value_of_another_type(document: Any):
    good = '{"id":"00000000000000f1","name":"n","trace_id":"1-6543210f-000102030405060708090a0b","start_time":1,"end_time":2}'
    decoded = xray.decode([json.dumps(document), good])
    assert [segment.id for _, segments in decoded.batches for segment in segments][-1] == 0xF1 or any(
        segment.id == 0xF1 for _, segments in decoded.batches for segment in segments
    )
    survives(DECODERS["xray"], json.dumps(document).encode())
