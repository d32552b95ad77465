"""The collector's doors in this process, on free ports, over a store in memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from fluoro_collector.counters import Counters
from fluoro_collector.ingest import Ingest
from fluoro_collector.receivers import http
from fluoro_collector.receivers.bind import address, bind
from fluoro_collector.receivers.grpc import GrpcDoor
from fluoro_collector.receivers.room import Room
from fluoro_collector.receivers.take import Taker
from fluoro_collector.receivers.udp import UdpDoor
from fluoro_collector.receivers.web import WebServer, build_app
from fluoro_collector.settings import Settings
from memory_store import MemoryStore

LIMIT = 256 * 1024


@dataclass
class Doors:
    """`http` is a URL, `grpc` host:port, `udp` an address for sendto."""

    http: str
    grpc: str
    udp: tuple[str, int]
    store: MemoryStore
    counters: Counters
    ingest: Ingest
    udp_door: UdpDoor


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def open_doors(limit: int = LIMIT, buffer: int = 4 * LIMIT) -> AsyncIterator[Doors]:
    """All doors; on leaving they close as `serve` closes them, and the ledger must balance with nothing in flight."""
    store, counters = MemoryStore(), Counters()
    ports = bind(Settings(http_port=0, grpc_port=0, xray_port=0))
    ingest = Ingest(store, counters, max_buffer_bytes=buffer)
    taker = Taker(ingest, counters, limit)
    room = Room(buffer)
    udp, grpc = UdpDoor(ports.xray_udp, taker, ingest, counters), GrpcDoor(taker, room)
    web = WebServer(build_app(http.routes(taker), limit=limit, room=room), 5)
    doors = Doors(
        f"http://{address(ports.http)}",
        ports.hand_over_grpc(grpc),
        ports.xray_udp.getsockname(),
        store,
        counters,
        ingest,
        udp,
    )
    await grpc.start()
    serving = asyncio.get_running_loop().create_task(web.serve([ports.http, ports.xray_tcp]))
    udp.start()
    try:
        yield doors
    finally:
        store.gate.set()
        web.should_exit = True
        await asyncio.gather(udp.close(), grpc.stop(5), serving)
        await ingest.close()
        taker.close()
        ports.close()
    for name, door in counters.doors.items():
        assert door.in_flight == 0, name
        assert door.received == door.stored + door.rejected.total() + door.dropped.total(), name
