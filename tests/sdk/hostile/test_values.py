"""Whatever an application hands over: its call succeeds, the sender lives, and the collector takes the segment."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import batch_sink
import fluoro
from batch_sink import BatchSink
from fluoro import encoder
from fluoro.encoder import encode_batch
from fluoro.model import Annotation, Resource, Segment
from fluoro.recorder import recorder
from fluoro.sender import Sender
from fluoro.settings import Settings
from fluoro.testing import Spans
from fluoro.transport import transport_to
from fluoro_collector.decode import native, validate


class ReprExits:
    def __repr__(self) -> str:
        raise SystemExit(3)


class ReprNeverEnds:
    def __repr__(self) -> str:
        return repr(self)


class ReprIsANumber:
    def __repr__(self) -> str:
        return 5  # type: ignore[return-value]


class UnreadableDict(dict[str, int]):
    def _refuse(self, *_: object) -> Any:
        raise RuntimeError

    items = __iter__ = __len__ = _refuse


class UnreadableText(str):
    __slots__ = ()

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError

    __len__ = __getitem__ = __str__ = encode = _refuse


class UnreadableNumber(int):
    def _refuse(self, *_: object) -> Any:
        raise RuntimeError

    __int__ = __lt__ = __le__ = __str__ = __repr__ = _refuse


class LiesAboutItsClass:
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError


class Incomparable:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError


def _deep() -> list[Any]:
    outer: list[Any] = []
    inner = outer
    for _ in range(50_000):
        inner.append([])
        inner = inner[0]
    return outer


def _endless() -> list[Any]:
    itself: list[Any] = []
    itself.append(itself)
    return itself


VALUES: dict[str, Any] = {
    "repr exits": ReprExits(),
    "repr never ends": ReprNeverEnds(),
    "repr is a number": ReprIsANumber(),
    "dict": UnreadableDict(a=1),
    "text": UnreadableText("abc"),
    "number": UnreadableNumber(7),
    "large number": UnreadableNumber(1 << 70),
    "number of many digits": 1 << 100_000,
    "below 64 bits": -(1 << 63) - 1,
    "class": LiesAboutItsClass(),
    "incomparable": Incomparable(),
    "nan": math.nan,
    "infinity": -math.inf,
    "surrogate": "a\ud800b",
    "nul": "a\0b",
    "bytes": b"\xff\0",
    "buffer": memoryview(b"x"),
    "complex": 1j,
    "set": {1, 2},
    "function": _deep,
    "module": sys,
    "keys that are no strings": {1: 2, None: 3, (1, 2): 4, b"x": 5},
    "nested": {"a": [{"b": b"bytes"}]},
    "long text": "x" * 3_000_000,
    "many values": {str(number): number for number in range(200_000)},
    "deep": _deep(),
    "endless": _endless(),
}


def taken_by_the_collector(segments: list[Segment]) -> list[Segment]:
    """What arrives; fails if the collector refuses any."""
    body, lost = encode_batch(Resource("shop"), segments)
    decoded = native.decode(body)
    arrived = [segment for _, some in decoded.batches for segment in some]
    assert (lost, decoded.rejections) == (0, [])
    refused = [validate.check(segment, time.time_ns()) or validate.check_size(segment) for segment in arrived]
    assert not any(refused)
    return arrived


@pytest.mark.parametrize("name", VALUES)
def test_any_value_in_any_place(name: str, spans: Spans) -> None:
    value = VALUES[name]
    with fluoro.span("annotated"):
        fluoro.annotate("key", value)
    with fluoro.span("described"):
        fluoro.metadata("key", value)
    with recorder.begin("a call to AWS", "PutItem", namespace="aws") as span:
        span.segment.aws = {"table_name": value}
    with fluoro.span("named") as span:
        span.segment.name = span.segment.operation = value
    if name not in {"dict", "text"}:  # which cannot even be asked whether they are empty
        with fluoro.span(value):
            pass
    segments = spans.take()
    arrived = taken_by_the_collector(segments)
    assert len(arrived) == len(segments)


@pytest.mark.parametrize("name", [name for name in VALUES if name != "repr exits"])
def test_any_key(name: str, spans: Spans) -> None:
    key = VALUES[name]
    with fluoro.span("work"):
        fluoro.annotate(key, 1)
        fluoro.annotate("other", 2)
        fluoro.metadata(key, 1, key)
    (arrived,) = taken_by_the_collector(spans.take())
    assert arrived.annotations is not None
    assert arrived.annotations["other"] == 2


def test_bytes_and_keys_that_are_no_strings_are_shown_as_python_writes_them(spans: Spans) -> None:
    with fluoro.span("work"):
        fluoro.metadata("payload", {7: b"abc", "list": [(1, 2)]})
    (arrived,) = taken_by_the_collector(spans.take())
    assert arrived.metadata == {"default": {"payload": {"7": "b'abc'", "list": [[1, 2]]}}}


def test_what_is_too_large_to_be_stored_goes_without_its_largest_part(spans: Spans) -> None:
    with fluoro.span("work"):
        fluoro.annotate("order", 7)
        fluoro.metadata("everything", "x" * 2_000_000)
    segments, cut = spans.take(), list[int]()
    body, lost = encode_batch(Resource("shop"), segments, lambda: None, cut)
    assert (lost, len(cut)) == (0, 1)
    assert cut[0] > 2_000_000
    assert len(body) < 1_000
    ((_, (arrived,)),) = native.decode(body).batches
    assert (arrived.metadata, arrived.annotations) == (None, {"order": 7})


def test_a_clock_that_is_set_back_is_no_reason_to_lose_a_span(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    span = recorder.begin("work")
    monkeypatch.setattr("fluoro.recorder.time_ns", lambda: span.segment.start - 3_600_000_000_000)
    span.end()
    monkeypatch.undo()
    (arrived,) = taken_by_the_collector(spans.take())
    assert arrived.end < arrived.start  # readers show a duration of zero


def test_a_dict_that_another_thread_writes_to_meanwhile(spans: Spans) -> None:
    shared: dict[str, Any] = {}
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            shared[str(number % 500)] = [number]
            shared.pop(str((number * 7) % 500), None)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(100):
            with fluoro.span("work"):
                fluoro.metadata("shared", shared)
                fluoro.metadata("bytes", b"")  # the slow way through the encoder
        assert len(taken_by_the_collector(spans.take())) == 100
    finally:
        stop.set()
        writer.join()


def test_every_kind_of_exception_passes_unchanged(spans: Spans) -> None:
    class Unprintable(Exception):
        __slots__ = ()

        def __str__(self) -> str:
            raise RuntimeError

    knot, other = ValueError("knot"), KeyError("other")
    knot.__cause__, other.__cause__ = other, knot
    groups: list[BaseException] = [Unprintable(), knot, OSError("\ud800 \0 " + "x" * 100_000), StopIteration(7)]
    if sys.version_info >= (3, 11):
        groups.append(ExceptionGroup("several", [ValueError("first"), Unprintable()]))  # noqa: F821  new in 3.11
    for error in groups:
        with pytest.raises(type(error)) as caught, fluoro.span("outer"), fluoro.span("inner"):
            raise error
        assert caught.value is error
        assert recorder.current() is None
    assert all(segment.fault for segment in taken_by_the_collector(spans.take()))


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


def test_a_repr_that_ends_its_thread_does_not_end_the_senders(sink: BatchSink, spans: Spans) -> None:
    out = Sender(Settings.from_env({"FLUORO_ENDPOINT": sink.url}), transport_to(sink.url))
    try:
        for value in (ReprExits(), "fine"):
            with fluoro.span("work"):
                fluoro.metadata("key", value)
            out.put(spans.one())
            assert out.flush(10)
        assert out.statistics()["sent"] == 2
    finally:
        out.close()


def test_subclasses_of_plain_types_are_recorded_as_these() -> None:
    class Celsius(float):
        pass

    annotations: dict[str, Annotation] = {"t": Celsius(21.5), "n": UnreadableNumber(7)}
    assert {name: type(value) for name, value in encoder.limited(annotations).items()} == {"t": float, "n": int}
