from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable

import pytest

from fluoro_collector.receivers import udp
from memory_store import make_decoded
from open_doors import Doors, open_doors, until

HEADER = b'{"format": "json", "version": 1}\n'


def document(number: int) -> bytes:
    now = time.time()
    trace_id = f"1-{int(now):08x}-{number:024x}"
    fields = {"name": "shop", "id": f"{number:016x}", "trace_id": trace_id, "start_time": now - 0.1, "end_time": now}
    return json.dumps(fields).encode()


def run(body: Callable[[Doors, Callable[[bytes], None]], Awaitable[None]], buffer: int = 1 << 20) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            async with open_doors(buffer=buffer) as doors:
                await body(doors, lambda data: sender.sendto(data, doors.udp) and None)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_documents_are_stored() -> None:
    async def body(doors: Doors, send: Callable[[bytes], None]) -> None:
        for number in range(1, 51):
            send(HEADER + document(number))
        await until(lambda: len(doors.store.ids()) == 50)
        assert sorted(doors.store.ids()) == list(range(1, 51))
        await until(lambda: doors.counters.door("xray-udp").stored == 50)
        assert doors.counters.door("xray-udp").received == 50

    run(body)


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "InvalidHeader"),
        (b"hello", "InvalidHeader"),
        (b"\xff\xfe\n{}", "InvalidHeader"),
        (b'{"format": "xml", "version": 1}\n{}', "InvalidHeader"),
        (b'{"format": "json", "version": 2}\n{}', "InvalidHeader"),
        (b'{"format": "json"}\n{}', "InvalidHeader"),
        (b"[1]\n{}", "InvalidHeader"),
        (HEADER, "EmptyBody"),
        (HEADER[:-1], "EmptyBody"),
        (HEADER + b"  \n", "EmptyBody"),
        (HEADER + b"\x00\x01\x02", "InvalidSegment"),
        (HEADER + document(9)[:-5], "InvalidSegment"),
        (HEADER + b"[]", "InvalidSegment"),
        (HEADER + b'{"name": "shop"}', "InvalidTraceId"),
    ],
)
def test_a_bad_datagram_is_dropped_counted_and_hurts_no_other(datagram: bytes, reason: str) -> None:
    async def body(doors: Doors, send: Callable[[bytes], None]) -> None:
        send(HEADER + document(1))
        send(datagram)
        send(HEADER + document(2))
        await until(lambda: doors.counters.door("xray-udp").stored == 2)
        await until(lambda: bool(doors.counters.door("xray-udp").dropped))
        assert doors.counters.door("xray-udp").dropped == {reason: 1}
        assert sorted(doors.store.ids()) == [1, 2]

    run(body)


@pytest.mark.parametrize("header", [b'{"version":1,"format":"JSON"}\n', b' { "format" : "json" , "version" : 1 } \n'])
def test_headers_of_other_sdks(header: bytes) -> None:
    async def body(doors: Doors, send: Callable[[bytes], None]) -> None:
        send(header + document(1))
        await until(lambda: doors.store.ids() == [1])

    run(body)


def test_what_ingest_cannot_take_is_dropped_and_counted() -> None:
    async def body(doors: Doors, send: Callable[[bytes], None]) -> None:
        doors.store.gate.clear()
        held = asyncio.ensure_future(doors.ingest.accept("grpc", make_decoded(100), 1000))
        assert await asyncio.to_thread(doors.store.entered.acquire, True, 30)
        send(HEADER + document(1))
        ledger = doors.counters.door("xray-udp")
        await until(lambda: ledger.dropped == {"BufferFull": 1})
        doors.store.gate.set()
        await held
        send(HEADER + document(2))
        await until(lambda: ledger.stored == 1)
        assert doors.store.ids() == [100, 2]

    run(body, buffer=1000)


def test_the_waiting_room_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "WAITING_BYTES", 3 * len(document(1)) + 40)  # the digits of a time vary

    async def body(doors: Doors, send: Callable[[bytes], None]) -> None:
        doors.store.gate.clear()
        send(HEADER + document(1))
        assert await asyncio.to_thread(doors.store.entered.acquire, True, 30)
        for number in range(2, 10):
            send(HEADER + document(number))
        ledger = doors.counters.door("xray-udp")
        await until(lambda: ledger.dropped == {"BufferFull": 6})
        doors.store.gate.set()
        await until(lambda: ledger.stored == 3)
        send(HEADER + document(10))
        await until(lambda: ledger.stored == 4)

    run(body)


def test_closing_takes_what_the_socket_still_holds() -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            async with open_doors() as doors:
                # Nothing is awaited between the last send and the close: the loop had no chance to read.
                for number in range(1, 41):
                    sender.sendto(HEADER + document(number), doors.udp)
            assert sorted(doors.store.ids()) == list(range(1, 41))
            assert doors.counters.door("xray-udp").stored == 40

    asyncio.run(asyncio.wait_for(main(), 60))
