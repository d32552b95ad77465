"""Native batches over gRPC: to the collector's real door, and to a small real server that refuses."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro.errors import SettingsError
from fluoro.sender import Sender
from fluoro.settings import Settings
from fluoro.transport import transport_to
from fluoro.transport.grpc import METHOD, retry_delay_s
from fluoro.wire import decode_batch
from fluoro_collector.receivers import status
from fluoro_collector.receivers.refusal import Refusal
from memory_store import make_segment
from open_doors import LIMIT, Doors, open_doors

SDK = Path(__file__).resolve().parents[3] / "sdk"


def grpc_sender(address: str) -> Sender:
    endpoint = f"grpc://{address}"
    return Sender(Settings(service_name="shop", endpoint=endpoint), transport_to(endpoint))


def against_the_collector(body: Callable[[Doors, Sender], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_doors() as doors:
            out = grpc_sender(doors.grpc)
            await body(doors, out)
            await asyncio.to_thread(out.close)

    asyncio.run(asyncio.wait_for(main(), 60))


class Refusing:
    """A real gRPC server that answers with `refusals` in turn, then takes everything."""

    def __init__(self) -> None:
        self.refusals: list[tuple[grpc.StatusCode, bytes]] = []
        self.ids: list[int] = []
        self.calls = 0

    def put(self, message: bytes, context: Any) -> bytes:
        self.calls += 1
        if self.refusals:
            code, details = self.refusals.pop(0)
            context.set_trailing_metadata((("grpc-status-details-bin", details),) if details else ())
            context.abort(code, "not now")
        self.ids += [segment.id for segment in decode_batch(message).segments]
        return msgspec.json.encode({"stored": 1, "rejected_count": 0, "rejected": []})


@contextmanager
def refusing() -> Iterator[tuple[Refusing, str]]:
    handler = Refusing()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    _, service, name = METHOD.split("/")
    methods = {name: grpc.unary_unary_rpc_method_handler(handler.put)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield handler, f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def test_the_collectors_door_stores_every_segment_over_one_channel():
    async def body(doors: Doors, out: Sender) -> None:
        for first in (1, 2_001):
            for number in range(first, first + 2_000):
                out.put(make_segment(number))
            assert await asyncio.to_thread(out.flush, 20)
        assert doors.store.ids() == list(range(1, 4_001))
        statistics = out.statistics()
        assert (statistics["sent"], statistics["dropped"], statistics["retries"]) == (4_000, {}, 0)
        assert doors.counters.door("grpc").stored == 4_000

    against_the_collector(body)


def test_what_the_collector_rejects_is_counted():
    async def body(doors: Doors, out: Sender) -> None:
        out.put(make_segment(1))
        out.put(make_segment(2, parent_id=make_segment(2).id))
        assert await asyncio.to_thread(out.flush, 20)
        assert (out.statistics()["sent"], out.statistics()["rejected"]) == (1, 1)

    against_the_collector(body)


def test_a_batch_over_the_servers_limit_is_halved():
    async def body(doors: Doors, out: Sender) -> None:
        for number in range(1, 9):
            out.put(make_segment(number, metadata={"default": {"x": "x" * (LIMIT // 6)}}))
        assert await asyncio.to_thread(out.flush, 20)
        assert doors.store.ids() == list(range(1, 9))
        assert out.statistics()["dropped"] == {}

    against_the_collector(body)


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.UNAVAILABLE, b""),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, status.status_protobuf(Refusal("BufferFull", "full", 0.1))),
        (grpc.StatusCode.DEADLINE_EXCEEDED, b""),
    ],
)
def test_what_may_pass_is_tried_again(code, details):
    with refusing() as (server, address):
        server.refusals = [(code, details)]
        out = grpc_sender(address)
        out.put(make_segment(1))
        assert out.flush(20)
        assert (server.ids, server.calls, out.statistics()["retries"]) == ([1], 2, 1)
        out.close()


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_what_will_not_pass_is_dropped_and_counted(code):
    with refusing() as (server, address):
        server.refusals = [(code, b"")]
        out = grpc_sender(address)
        out.put(make_segment(1))
        assert out.flush(20)
        assert (server.calls, out.statistics()["dropped"]) == (1, {"refused": 1})
        out.close()


def test_the_wait_that_a_server_asks_for_is_read():
    refusal = Refusal("BufferFull", "full", 2.5)
    assert retry_delay_s(status.status_protobuf(refusal)) == 2.5
    assert retry_delay_s(status.status_protobuf(Refusal("Undecodable", "no"))) is None


@given(st.binary(max_size=60))
def test_no_status_is_too_strange(data):
    delay = retry_delay_s(data)
    assert delay is None or isinstance(delay, float)


FORKING = """
import os, sys, time
from fluoro.model import Segment
from fluoro.sender import Sender
from fluoro.settings import Settings
from fluoro.transport import transport_to
endpoint = "grpc://" + sys.argv[1]
out = Sender(Settings(service_name="shop", endpoint=endpoint), transport_to(endpoint))
def put(number):
    out.put(Segment(time.time_ns().to_bytes(16, "big"), number, 0, "shop", 10**18, 10**18))
    assert out.flush(20)
put(1)
child = os.fork()
put(2 if child else 3)
if not child:
    out.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
put(4)
"""


def test_a_forked_child_sends_over_a_channel_of_its_own():
    with refusing() as (server, address):
        env = {"PYTHONPATH": str(SDK), "PATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", FORKING, address], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert sorted(server.ids) == [1, 2, 3, 4]


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(SettingsError, match=r"pip install 'fluoro\[grpc\]'"):
        transport_to("grpc://127.0.0.1:4317")
