from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fluoro.errors import WireError
from fluoro.model import WIRE_VERSION, Batch, Resource, Segment
from fluoro.wire import encode_batch
from fluoro_collector.decode.native import decode

RESOURCE = Resource("shop", "1.2", "prod", "h1", {"process.pid": 7})
TRACE = b"\x65\x43\x21\x0f" + bytes(range(12))


def segment(number: int, **fields: Any) -> Segment:
    return Segment(TRACE, number, 0, "shop", 1_700_000_000_000_000_000, 1_700_000_001_000_000_000, **fields)


def batch_of(*raw: bytes) -> bytes:
    return msgspec.msgpack.encode([WIRE_VERSION, RESOURCE, [msgspec.Raw(item) for item in raw]])


def good(number: int) -> bytes:
    return msgspec.msgpack.encode(segment(number))


def test_a_batch_is_read_as_it_was_written():
    segments = [segment(1, annotations={"k": 1}), segment(2, metadata={"default": {"x": [1, {"y": None}]}})]
    decoded = decode(encode_batch(Batch(WIRE_VERSION, RESOURCE, segments)))
    assert decoded == ([(RESOURCE, segments)], [])


def test_a_newer_writer_may_append_fields():
    raw = [*msgspec.msgpack.decode(good(1)), "from the future"]
    assert decode(batch_of(msgspec.msgpack.encode(raw))).batches == [(RESOURCE, [segment(1)])]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (msgspec.msgpack.encode([TRACE, "two", 0, "shop", 1]), "$[1]"),
        (msgspec.msgpack.encode([TRACE, 2]), "of at least length 5"),
        (msgspec.msgpack.encode("a segment"), "Expected `array`"),
        (msgspec.msgpack.encode([TRACE, 2, 0, "shop", 1, 2, 9]), "$[6]"),
        (good(2).replace(b"shop", b"sh\xff\xfe"), "not UTF-8"),
    ],
)
def test_a_bad_segment_is_refused_with_its_place_and_the_others_kept(bad: bytes, says: str):
    decoded = decode(batch_of(good(1), bad, good(3)))
    assert decoded.batches == [(RESOURCE, [segment(1), segment(3)])]
    [rejection] = decoded.rejections
    assert rejection.code == "InvalidSegment"
    assert rejection.message.startswith("$[2][1]: ")
    assert says in rejection.message


@pytest.mark.parametrize(
    "free",
    [
        {"metadata": {"default": {"x": msgspec.msgpack.Ext(5, b"x")}}},
        {"metadata": {"default": {"x": b"bytes"}}},
        {"aws": {"x": {1: "a key that is no string"}}},
        {"annotations": {"k": 1}, "aws": {"x": [[b""]]}},
    ],
)
def test_a_value_that_json_cannot_carry_is_refused(free: dict[str, Any]):
    decoded = decode(batch_of(good(1), msgspec.msgpack.encode(segment(2, **free))))
    assert decoded.batches == [(RESOURCE, [segment(1)])]
    assert [(rejection.code, rejection.id) for rejection in decoded.rejections] == [
        ("InvalidSegment", "0000000000000002")
    ]


def test_nesting_beyond_what_can_be_written_again_is_refused():
    value: Any = 1
    for _ in range(80):
        value = [value]
    decoded = decode(batch_of(msgspec.msgpack.encode(segment(2, metadata={"default": {"x": value}}))))
    assert len(decoded.rejections) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93",
        b"{}",
        b"\xc1",
        b"\x91" * 100_000,
        msgspec.msgpack.encode([WIRE_VERSION + 1, RESOURCE, []]),
        msgspec.msgpack.encode([WIRE_VERSION, ["shop", 3], []]),
        msgspec.msgpack.encode([WIRE_VERSION, ["shop", "", "", "", {"x": b"bytes"}], []]),
        msgspec.msgpack.encode([WIRE_VERSION, RESOURCE, "segments"]),
    ],
)
def test_what_is_no_batch_is_a_wire_error(data: bytes):
    with pytest.raises(WireError):
        decode(data)
