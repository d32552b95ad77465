from __future__ import annotations

import asyncio
import contextlib
import random
import re

from fluoro.model import Resource, Segment
from fluoro_collector.counters import Counters, Door
from fluoro_collector.decode.decoded import Decoded, Rejection
from fluoro_collector.ingest import Ingest, Overloaded
from fluoro_collector.store.engine import StoreBusy, StoreError
from memory_store import MemoryStore, make_segment

SAMPLE = re.compile(r'^([a-z_]+)(?:\{door="([^"]+)"(?:,reason="([^"]+)")?\})? (\S+)$', re.MULTILINE)


def balanced(door: Door) -> bool:
    return door.received == door.stored + door.rejected.total() + door.dropped.total() + door.in_flight


def test_the_ledger_holds_at_every_moment_of_random_traffic() -> None:
    chance = random.Random(7)
    numbers = iter(range(1, 1_000_000))

    def refuse(segments: list[Segment]) -> None:
        if chance.random() < 0.05:
            raise StoreBusy("busy")
        if any(segment.name == "poison" for segment in segments):
            raise StoreError("poison")

    def traffic() -> Decoded:
        names = chance.choices(["shop", "", "poison"], [90, 8, 2], k=chance.randrange(20))
        segments = [make_segment(next(numbers), name=name) for name in names]
        refused = [Rejection("InvalidSegment", "no JSON")] * chance.randrange(3)
        return Decoded([(Resource(), segments)] if segments else [], refused)

    async def main() -> None:
        store, counters = MemoryStore(), Counters()
        store.refuse = refuse
        ingest = Ingest(store, counters, max_buffer_bytes=4_000)

        async def sender(name: str) -> int:
            acknowledged = 0
            for _ in range(60):
                if chance.random() < 0.1:
                    counters.door(name).refuse_undecoded("Undecodable")
                call = asyncio.ensure_future(ingest.accept(name, traffic(), chance.randrange(1, 800)))
                if chance.random() < 0.1:
                    await asyncio.sleep(0)
                    call.cancel()
                with contextlib.suppress(Overloaded, asyncio.CancelledError):
                    acknowledged += (await call).stored
                assert all(balanced(door) for door in counters.doors.values())
            return acknowledged

        acknowledged = await asyncio.gather(*(sender(name) for name in list(counters.doors) * 3))
        await ingest.close()
        stored = sum(door.stored for door in counters.doors.values())
        assert stored == len(store.ids()) == len(set(store.ids()))
        assert 0 < sum(acknowledged) <= stored  # a sender that left was stored and not told
        for name, door in counters.doors.items():
            assert door.in_flight == 0, name
            assert balanced(door), name
            assert bool(door.dropped) == (name == "xray-udp")
            assert bool(door.rejected) == (name != "xray-udp")
        assert {"BufferFull", "StoreBusy", "StoreRefused", "MissingName", "Undecodable"} <= counters.rejections().keys()

        samples = {(m[1], m[2], m[3]): float(m[4]) for m in SAMPLE.finditer(counters.exposition())}
        for name in counters.doors:
            total = (
                samples["fluoro_segments_stored_total", name, None] + samples["fluoro_segments_in_flight", name, None]
            )
            total += sum(
                value
                for (metric, door_name, _), value in samples.items()
                if door_name == name and metric in {"fluoro_segments_rejected_total", "fluoro_segments_dropped_total"}
            )
            assert samples["fluoro_segments_received_total", name, None] == total

    asyncio.run(asyncio.wait_for(main(), 60))


def test_the_exposition_is_prometheus_text() -> None:
    counters = Counters()
    counters.door("grpc").receive(3)
    counters.door("grpc").store(2)
    counters.door("grpc").refuse('odd "reason"\\\n')
    text = counters.exposition()
    assert 'fluoro_segments_rejected_total{door="grpc",reason="odd \\"reason\\"\\\\\\n"} 1' in text
    for line in text.splitlines():
        assert line.startswith(("# HELP fluoro_", "# TYPE fluoro_", "fluoro_")), line
    assert text.endswith("\n")
    declared = re.findall(r"# TYPE (\S+) (counter|gauge)", text)
    assert len(declared) == len(dict(declared))
    assert all((kind == "counter") == name.endswith("_total") for name, kind in declared)
