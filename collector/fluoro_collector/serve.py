"""One collector process, built top to bottom: ports, store, rollup, ingest, doors. It stops in the other direction."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator

from fluoro_collector import __version__
from fluoro_collector.api import health
from fluoro_collector.api.routes import routes as api_routes
from fluoro_collector.counters import Counters
from fluoro_collector.ingest import Ingest
from fluoro_collector.insights.watch import EVERY_S, Watch
from fluoro_collector.periodic import periodic
from fluoro_collector.query.graph.outcomes import Source, oldest_minute, source
from fluoro_collector.query.groups import Group, Groups
from fluoro_collector.receivers import http
from fluoro_collector.receivers.bind import Ports, address, bind
from fluoro_collector.receivers.grpc import GrpcDoor
from fluoro_collector.receivers.room import Room
from fluoro_collector.receivers.take import Taker
from fluoro_collector.receivers.udp import UdpDoor
from fluoro_collector.receivers.web import WebServer, build_app
from fluoro_collector.rollup import PERIODS_EVERY_S, SETTLE_S, Rollup
from fluoro_collector.sampling.targets import SHARE_S, Sampling
from fluoro_collector.settings import Settings
from fluoro_collector.state import State
from fluoro_collector.store.configuration import Configuration
from fluoro_collector.store.retention import Retention
from fluoro_collector.store.store import Store, open_engine
from fluoro_collector.store.url import parse_url

log = logging.getLogger(__name__)

INTERRUPTED = 130
RETENTION_S = 900.0  # a look at the list of partitions; something to do is found once a day


def run(settings: Settings) -> int:
    """Serve until SIGTERM or ctrl-C; the exit code. Raises SettingsError (a port is taken), StoreError (no store)."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Its news of start and stop are ours to tell, and a warning for every bad request would fill the disk.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    ports = bind(settings)
    try:
        return asyncio.run(_serve(settings, ports))
    finally:
        ports.close()


async def _serve(settings: Settings, ports: Ports) -> int:
    async with contextlib.AsyncExitStack() as stack:
        store = await asyncio.to_thread(_open_store, settings)
        stack.push_async_callback(asyncio.to_thread, store.close)
        # After the engine is loaded: whatever handlers it may have installed, ours win.
        stop = _on_signals()
        counters = Counters()
        rollup = Rollup(store.engine, settle_s=SETTLE_S, periods_every_s=PERIODS_EVERY_S)
        await stack.enter_async_context(_rolling_up(rollup, counters, settings.rollup_interval))
        retention = Retention(store.engine, settings.retention_days, settings.retention_error_days)
        await stack.enter_async_context(periodic("retention", retention.run_once, RETENTION_S))
        ingest = Ingest(store, counters, max_buffer_bytes=settings.max_buffer_bytes, touched=rollup.touched)
        stack.push_async_callback(ingest.close)
        taker = Taker(ingest, counters, settings.max_request_bytes)
        stack.push_async_callback(asyncio.to_thread, taker.close)
        configuration = Configuration(store.engine)
        sampling = Sampling(store.engine, configuration)
        await stack.enter_async_context(periodic("sampling statistics", sampling.share, SHARE_S))
        await stack.enter_async_context(periodic("insights", _watch(store, rollup, configuration).run_once, EVERY_S))
        state = State(settings, counters, store, rollup, ingest, configuration, sampling, stopping=stop.is_set)
        async with _doors(state, taker, ports):
            print(banner(state), flush=True)  # noqa: T201 - the one thing `fluoro serve` says to a person
            await stop.wait()
            log.info("stopping: doors close, what was accepted is committed")
            # Never cancelled: it also bounds what asyncio.run still waits for, and ends with the loop.
            asyncio.get_running_loop().call_later(settings.stop_timeout, _give_up, settings.stop_timeout)
    log.info("stopped")
    return 0


def _open_store(settings: Settings) -> Store:
    store = Store(open_engine(settings.store or str(settings.data)))
    try:
        applied = store.migrate()
    except BaseException:
        store.close()
        raise
    if applied:
        log.info("schema brought up to date: %s", ", ".join(applied))
    return store


def _on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; a second SIGINT ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if stop.is_set():
            log.warning("interrupted twice: leaving at once; what was acknowledged is on disk")
            os._exit(INTERRUPTED)
        stop.set()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    return stop


def _give_up(seconds: float) -> None:
    log.error("not stopped after %g s: leaving; what was acknowledged is on disk", seconds)
    os._exit(1)


def _rolling_up(rollup: Rollup, counters: Counters, interval_s: float) -> contextlib.AbstractAsyncContextManager[None]:
    """Queries compute changed minutes live until a run succeeds."""

    def run() -> None:
        counters.rollup_minutes += rollup.run_once()

    def failed() -> None:
        counters.rollup_failures += 1

    return periodic("rollup", run, interval_s, failed)


def _watch(store: Store, rollup: Rollup, configuration: Configuration) -> Watch:
    groups = Groups(configuration)

    def outcomes_of(group: Group) -> Source:
        return source(store.engine, rollup.dirty, group.expression, groups)

    return Watch(store.engine, groups.all, outcomes_of, oldest=lambda: oldest_minute(store.engine))


@contextlib.asynccontextmanager
async def _doors(state: State, taker: Taker, ports: Ports) -> AsyncIterator[None]:
    """All doors open; on leaving they close together, and requests in flight are answered."""
    grace_s = state.settings.stop_timeout / 2
    udp = UdpDoor(ports.xray_udp, taker, state.ingest, state.counters)
    room = Room(state.settings.max_buffer_bytes)
    grpc = GrpcDoor(taker, room)
    state.doors.update(http=f"http://{address(ports.http)}", grpc=ports.hand_over_grpc(grpc))
    state.doors.update(xray=address(ports.xray_udp))
    routes = [*http.routes(taker), *api_routes(state, taker), *health.routes(state)]
    app = build_app(routes, limit=state.settings.max_request_bytes, room=room, hosts=state.settings.hosts)
    web = WebServer(app, grace_s)
    await grpc.start()
    serving = asyncio.get_running_loop().create_task(web.serve([ports.http, ports.xray_tcp]), name="fluoro-http")
    await web.open.wait()
    udp.start()
    try:
        yield
    finally:
        web.should_exit = True
        await asyncio.gather(udp.close(), grpc.stop(grace_s), serving)


def banner(state: State) -> str:
    """What a person needs after the start: where to send, where to ask, where the data is."""
    settings = state.settings
    if settings.store:
        where = f"ClickHouse at {parse_url(settings.store)}"
    else:
        where = f"{settings.data.absolute()} (embedded ClickHouse)"
    doors = state.doors
    return "\n".join(
        [
            f"fluoro collector {__version__} is ready",
            f"  HTTP   {doors['http']:28}  OTLP, native batches, X-Ray API, dashboard API",
            f"  gRPC   {doors['grpc']:28}  OTLP, native batches",
            f"  X-Ray  {doors['xray']:28}  daemon protocol (UDP), X-Ray API (TCP)",
            f"  data   {where}",
            "  Stop with ctrl-C.",
        ]
    )
