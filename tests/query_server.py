"""The query APIs over a real store, on a free port, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fluoro.model import Resource, Segment
from fluoro_collector.api.routes import routes
from fluoro_collector.counters import Counters
from fluoro_collector.ingest import Ingest
from fluoro_collector.receivers.room import Room
from fluoro_collector.receivers.take import Taker
from fluoro_collector.receivers.web import WebServer, build_app
from fluoro_collector.rollup import Rollup
from fluoro_collector.sampling.targets import Sampling
from fluoro_collector.settings import Settings
from fluoro_collector.state import State
from fluoro_collector.store.configuration import Configuration
from fluoro_collector.store.store import Store

LIMIT = 1 << 20


@dataclass
class Server:
    url: str
    state: State

    def insert(self, resource: Resource, segments: list[Segment]) -> None:
        """Past the doors; the rollup is told as ingest would tell it."""
        self.state.store.insert([(resource, segments)])
        self.state.rollup.touched({segment.start // 1_000_000_000 for segment in segments})


@contextmanager
def serving(store: Store) -> Iterator[Server]:
    """Only the routes of `api/`, behind the same body limits and the same server as in `fluoro serve`."""
    ready = threading.Event()
    found: list[Server] = []
    stop: list[WebServer] = []

    async def run() -> None:
        counters, rollup = Counters(), Rollup(store.engine)
        ingest = Ingest(store, counters, max_buffer_bytes=4 * LIMIT, touched=rollup.touched)
        configuration = Configuration(store.engine)
        sampling = Sampling(store.engine, configuration)
        state = State(Settings(), counters, store, rollup, ingest, configuration, sampling)
        listening = socket.create_server(("127.0.0.1", 0))
        taker = Taker(ingest, counters, LIMIT)
        web = WebServer(build_app(routes(state, taker), limit=LIMIT, room=Room(4 * LIMIT)), 5)
        found.append(Server(f"http://127.0.0.1:{listening.getsockname()[1]}", state))
        stop.append(web)
        ready.set()
        await web.serve([listening])
        await ingest.close()
        taker.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(30)
        yield found[0]
    finally:
        stop[0].should_exit = True
        thread.join(30)
        assert not thread.is_alive()
