from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from fluoro.model import Resource, Segment
from fluoro_collector.counters import Counters
from fluoro_collector.decode.decoded import Decoded, Rejection
from fluoro_collector.ingest import CHECK_INLINE, MAX_BISECT_INSERTS, Ingest, Overloaded
from fluoro_collector.store.engine import StoreBusy, StoreError
from memory_store import MemoryStore, make_decoded, make_segment

Body = Callable[[Ingest, MemoryStore, Counters], Awaitable[None]]


def run(body: Body, max_buffer_bytes: int = 1_000_000, touched: Callable[[set[int]], None] | None = None) -> None:
    async def main() -> None:
        store, counters = MemoryStore(), Counters()
        ingest = Ingest(store, counters, max_buffer_bytes=max_buffer_bytes, touched=touched)
        try:
            await body(ingest, store, counters)
        finally:
            store.gate.set()
            await ingest.close()
        assert counters.buffer_bytes == 0
        for door in counters.doors.values():
            assert door.in_flight == 0
            assert door.received == door.stored + door.rejected.total() + door.dropped.total()

    asyncio.run(asyncio.wait_for(main(), 60))


def start(call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(call)


async def inserting(store: MemoryStore) -> None:
    """Until an insert has begun."""
    assert await asyncio.to_thread(store.entered.acquire, True, 30)


async def received(counters: Counters, count: int, door: str = "grpc") -> None:
    deadline = time.monotonic() + 30
    while counters.door(door).received < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


def refuse_ids(*bad: int, error: Exception | None = None) -> Callable[[list[Segment]], None]:
    def refuse(segments: list[Segment]) -> None:
        if any(segment.id in bad for segment in segments):
            raise error or StoreError("a value does not fit its column")

    return refuse


def test_the_reply_waits_until_the_segments_are_durable() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        store.gate.clear()
        reply = start(ingest.accept("grpc", make_decoded(1, 2), 100))
        await inserting(store)
        assert not reply.done()
        assert counters.door("grpc").in_flight == 2
        store.gate.set()
        assert await reply == (2, [])
        assert store.ids() == [1, 2]

    run(body)


def test_requests_that_come_during_an_insert_share_the_next_one() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        store.gate.clear()
        first = start(ingest.accept("grpc", make_decoded(1), 10))
        await inserting(store)
        later = [start(ingest.accept("grpc", make_decoded(number), 10)) for number in range(2, 52)]
        await received(counters, 51)
        store.gate.set()
        receipts = await asyncio.gather(first, *later)
        assert all(receipt == (1, []) for receipt in receipts)
        assert [len(block) for block in store.blocks] == [1, 50]
        assert len(set(store.tokens)) == 2
        assert counters.commits == 2

    run(body)


def test_a_full_buffer_turns_requests_away_and_takes_them_again_later() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        store.gate.clear()
        held = start(ingest.accept("grpc", make_decoded(1), 60))
        await inserting(store)
        with pytest.raises(Overloaded) as refusal:
            await ingest.accept("http-native", make_decoded(2, 3), 50)
        assert refusal.value.reason == "BufferFull"
        assert refusal.value.retry_after_s > 0
        assert counters.door("http-native").rejected == {"BufferFull": 2}
        store.gate.set()
        await held
        assert await ingest.accept("http-native", make_decoded(2, 3), 50) == (2, [])

    run(body, max_buffer_bytes=100)


def test_a_door_without_replies_drops_what_it_cannot_take() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        with pytest.raises(Overloaded):
            await ingest.accept("xray-udp", make_decoded(1), 101)
        assert counters.door("xray-udp").dropped == {"BufferFull": 1}
        assert not counters.door("xray-udp").rejected

    run(body, max_buffer_bytes=100)


def test_a_busy_store_is_told_to_every_sender_of_the_group() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        store.refuse = refuse_ids(1, error=StoreBusy("too many parts"))
        with pytest.raises(Overloaded) as refusal:
            await ingest.accept("grpc", make_decoded(1), 10)
        assert refusal.value.reason == "StoreBusy"
        assert counters.door("grpc").rejected == {"StoreBusy": 1}
        assert store.attempts == 1
        assert await ingest.accept("grpc", make_decoded(2), 10) == (1, [])

    run(body)


@pytest.mark.parametrize("error", [StoreError("bad"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogate")])
def test_one_bad_segment_is_rejected_and_the_rest_of_the_group_stored_once(error: Exception) -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        store.refuse = refuse_ids(157, error=error)
        store.gate.clear()
        first = start(ingest.accept("grpc", make_decoded(1), 10))
        await inserting(store)
        clean = start(ingest.accept("grpc", make_decoded(*range(2, 100)), 10))
        mixed = start(ingest.accept("http-otlp", make_decoded(*range(100, 300)), 10))
        await received(counters, 99)
        await received(counters, 200, "http-otlp")
        store.gate.set()
        assert await first == (1, [])
        assert await clean == (98, [])
        receipt = await mixed
        assert receipt.stored == 199
        assert [(each.code, each.id) for each in receipt.rejections] == [("StoreRefused", f"{157:016x}")]
        assert sorted(store.ids()) == [number for number in range(1, 300) if number != 157]
        assert len(set(store.tokens)) == len(store.tokens)
        assert counters.door("http-otlp").rejected == {"StoreRefused": 1}

    run(body)


def test_several_bad_segments_are_all_found() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        bad = (1, 500, 501, 777, 1000)
        store.refuse = refuse_ids(*bad)
        receipt = await ingest.accept("grpc", make_decoded(*range(1, 1001)), 10)
        assert {int(each.id, 16) for each in receipt.rejections} == set(bad)
        assert receipt.stored == 995
        assert sorted(store.ids()) == [number for number in range(1, 1001) if number not in bad]

    run(body)


def test_a_store_that_refuses_everything_is_not_blamed_on_the_data() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        store.refuse = refuse_ids(*range(1, 5000))
        with pytest.raises(Overloaded) as refusal:
            await ingest.accept("grpc", make_decoded(*range(1, 2000)), 10)
        assert refusal.value.reason == "StoreFailed"
        assert store.attempts <= MAX_BISECT_INSERTS + 2
        assert counters.door("grpc").rejected == {"StoreFailed": 1999}

    run(body)


def test_a_store_that_gets_busy_while_a_block_is_taken_apart() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        def refuse(segments: list[Segment]) -> None:
            if store.attempts > 3:
                raise StoreBusy("connection lost")
            refuse_ids(2)(segments)

        store.refuse = refuse
        with pytest.raises(Overloaded) as refusal:
            await ingest.accept("grpc", make_decoded(*range(1, 9)), 10)
        assert refusal.value.reason == "StoreBusy"
        assert counters.door("grpc").stored == 4
        assert counters.door("grpc").rejected == {"StoreBusy": 4}

    run(body)


def test_a_client_that_leaves_takes_nothing_with_it() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        store.gate.clear()
        first = start(ingest.accept("grpc", make_decoded(1), 10))
        await inserting(store)
        leaving = start(ingest.accept("grpc", make_decoded(2), 10))
        staying = start(ingest.accept("grpc", make_decoded(3), 10))
        await received(counters, 3)
        leaving.cancel()
        first.cancel()
        store.gate.set()
        assert await staying == (1, [])
        assert store.ids() == [1, 2, 3]
        assert counters.door("grpc").stored == 3

    run(body)


def test_rejections_of_the_decoder_and_the_validator_come_back_together() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        segments = [make_segment(1), make_segment(2, name=""), make_segment(3)]
        decoded = Decoded([(Resource(), segments)], [Rejection("InvalidSegment", "no JSON")])
        receipt = await ingest.accept("xray-http", decoded, 10)
        assert receipt.stored == 2
        assert [each.code for each in receipt.rejections] == ["InvalidSegment", "MissingName"]
        assert counters.door("xray-http").rejected == {"InvalidSegment": 1, "MissingName": 1}
        assert await ingest.accept("xray-http", Decoded([], []), 0) == (0, [])
        nothing_valid = Decoded([(Resource(), [make_segment(4, name="")])], [])
        assert (await ingest.accept("xray-http", nothing_valid, 10)).stored == 0
        assert store.ids() == [1, 3]

    run(body)


def test_a_large_request_is_validated_off_the_loop() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        count = CHECK_INLINE + 1
        assert await ingest.accept("grpc", make_decoded(*range(1, count + 1)), 10) == (count, [])

    run(body)


def test_the_rollup_is_told_the_minutes_of_what_was_stored() -> None:
    seen: list[set[int]] = []
    now = time.time_ns() // 60_000_000_000 * 60_000_000_000

    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        segments = [make_segment(n, start=now - minute * 60_000_000_000) for n, minute in ((1, 0), (2, 5))]
        await ingest.accept("grpc", Decoded([(Resource(), segments)], []), 10)
        assert seen == [{now // 1_000_000_000, now // 1_000_000_000 - 300}]

    run(body, touched=seen.append)


def test_a_rollup_that_fails_does_not_hurt_the_sender() -> None:
    def touched(minutes: set[int]) -> None:
        raise RuntimeError(f"cannot note {minutes}")

    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        assert await ingest.accept("grpc", make_decoded(1), 10) == (1, [])
        assert ingest.alive

    run(body, touched=touched)


def test_closing_commits_what_was_accepted_and_refuses_the_rest() -> None:
    async def main() -> None:
        store, counters = MemoryStore(), Counters()
        ingest = Ingest(store, counters, max_buffer_bytes=1_000_000)
        store.gate.clear()
        held = [start(ingest.accept("grpc", make_decoded(1), 10))]
        await inserting(store)
        held += [start(ingest.accept("grpc", make_decoded(number), 10)) for number in (2, 3)]
        large = range(10, 10 + CHECK_INLINE + 1)  # still in its validation thread when close begins
        held.append(start(ingest.accept("grpc", make_decoded(*large), 10)))
        await received(counters, 3 + len(large))
        closing = start(ingest.close())
        store.gate.set()
        await closing
        assert [receipt.stored for receipt in await asyncio.gather(*held)] == [1, 1, 1, len(large)]
        with pytest.raises(Overloaded) as refusal:
            await ingest.accept("grpc", make_decoded(4), 10)
        assert refusal.value.reason == "Stopping"
        assert not ingest.alive
        assert sorted(store.ids()) == [1, 2, 3, *large]

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("error", [StoreError, StoreBusy])
def test_the_log_never_quotes_what_the_store_could_not_take(
    caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    text = "Code: 53. DB::Exception: cannot convert 'card 4111 1111' to UInt8: While executing. (TYPE_MISMATCH)"

    async def body(ingest: Ingest, store: MemoryStore, _: Counters) -> None:
        store.refuse = refuse_ids(2, error=error(text))
        with contextlib.suppress(Overloaded):
            await ingest.accept("grpc", make_decoded(1, 2), 10)

    run(body)
    assert "Code: 53 (TYPE_MISMATCH)" in caplog.text
    assert "4111" not in caplog.text


def test_a_large_request_is_measured_segment_by_segment() -> None:
    async def body(ingest: Ingest, store: MemoryStore, counters: Counters) -> None:
        large = make_segment(1, metadata={"default": {"x": "y" * (2 << 20)}})
        hostile = (Resource(attributes={"x": "y" * 100_000}), [make_segment(2)])
        decoded = Decoded([(Resource("shop"), [large, make_segment(3)]), hostile], [])
        receipt = await ingest.accept("grpc", decoded, 3 << 20)
        assert (receipt.stored, store.ids()) == (1, [3])
        assert counters.door("grpc").rejected == {"TooLarge": 1, "InvalidResource": 1}

    run(body, max_buffer_bytes=4 << 20)
