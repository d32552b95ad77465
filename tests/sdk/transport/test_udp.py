"""X-Ray documents over UDP: to the collector's real door, to a socket that stands for a daemon, and to nobody."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator

import pytest

from fluoro import sender
from fluoro.model import Resource, Segment
from fluoro.sender import Sender
from fluoro.settings import Settings
from fluoro.transport import transport_to
from fluoro.transport.udp import HEADER, UdpTransport
from memory_store import make_segment
from open_doors import open_doors, until


def xray_sender(host: str, port: int) -> Sender:
    endpoint = f"udp://{host}:{port}"
    return Sender(Settings(service_name="shop", endpoint=endpoint), transport_to(endpoint))


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    """Where an X-Ray daemon would listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(20)
        yield listening


def documents(daemon: socket.socket, count: int) -> list[dict[str, object]]:
    found = []
    for _ in range(count):
        header, _, body = daemon.recv(65_536).partition(b"\n")
        assert json.loads(header) == {"format": "json", "version": 1}
        found.append(json.loads(body))
    return found


def send(transport: UdpTransport, *segments: Segment) -> int:
    """How many of `segments` were lost."""
    encoded = transport.encode(Resource("shop"), segments, lambda: None)
    reply = transport.send(encoded.body)
    assert reply.delivered
    return reply.lost


def test_the_collectors_xray_door_stores_every_segment():
    async def main() -> None:
        async with open_doors() as doors:
            out = xray_sender(*doors.udp)
            for number in range(1, 301):
                out.put(make_segment(number, subsegment=number % 3 != 1, parent_id=number - 1))
            assert await asyncio.to_thread(out.flush, 20)
            await until(lambda: len(doors.store.ids()) >= 300)
            assert sorted(each for each in doors.store.ids() if each <= 300) == list(range(1, 301))
            statistics = out.statistics()
            assert (statistics["sent"], statistics["dropped"]) == (300, {})
            await asyncio.to_thread(out.close)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_request_is_one_datagram(daemon):
    out = xray_sender(*daemon.getsockname())
    entry = make_segment(1)
    out.put(Segment(entry.trace_id, 2, 1, "S3", entry.start, entry.end, subsegment=True, namespace="aws"))
    out.put(entry)
    assert out.flush()
    [document] = documents(daemon, 1)
    assert document["name"] == "shop"
    assert document["aws"]["xray"]["sdk"] == "fluoro"
    assert [child["name"] for child in document["subsegments"]] == ["S3"]
    out.close()


def test_what_is_too_large_arrives_trimmed_and_is_counted(daemon):
    out = xray_sender(*daemon.getsockname())
    out.put(make_segment(1, metadata={"default": {"body": "x" * 200_000}}))
    assert out.flush()
    [document] = documents(daemon, 1)
    assert document["metadata"] == {"fluoro": {"trimmed": ["metadata"]}}
    assert (out.statistics()["sent"], out.statistics()["trimmed"]) == (1, 1)
    out.close()


def test_a_way_that_carries_less_gets_smaller_documents(daemon):
    """Linux carries 65,507 bytes; macOS 9 KB."""
    transport = UdpTransport("udp://{}:{}".format(*daemon.getsockname()), limit=300_000)
    root = make_segment(1)
    children = [
        Segment(root.trace_id, number, 1, "c", 10**9, 10**9, subsegment=True, metadata={"default": {"x": "x" * 30_000}})
        for number in range(2, 6)
    ]
    assert send(transport, root, *children) == 0
    assert transport._limit <= 65_507
    found = documents(daemon, 2)
    ids = [document["id"] for document in found] + [
        child["id"] for document in found for child in document.get("subsegments", [])
    ]
    while len(ids) < 5:
        [document] = documents(daemon, 1)
        ids += [document["id"]] + [child["id"] for child in document.get("subsegments", [])]
    assert sorted(ids) == [f"{number:016x}" for number in range(1, 6)]
    transport.close()


def test_what_nobody_listens_for_is_counted_as_far_as_the_kernel_tells(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    monkeypatch.setattr(sender, "EXIT_S", 0.1)
    out = xray_sender(*address)
    for number in range(1, 101):
        out.put(make_segment(number))
    assert out.flush()
    statistics = out.statistics()
    assert statistics["dropped"]["not sent"] > 0
    assert statistics["sent"] + statistics["dropped"]["not sent"] == 100
    out.close()


class Full:
    """In place of a socket whose buffer stays full: nothing on loopback keeps one full for a second."""

    def __init__(self, error: Callable[[], OSError]) -> None:
        self.error = error

    def settimeout(self, seconds: float) -> None:
        pass

    def send(self, _datagram: bytes) -> int:
        raise self.error()

    def close(self) -> None:
        pass


@pytest.mark.parametrize("error", [TimeoutError, lambda: OSError(1, "not permitted"), ConnectionRefusedError])
def test_what_the_kernel_does_not_take_is_counted(error):
    transport = UdpTransport("udp://127.0.0.1:2000")
    transport._socket = Full(error)  # type: ignore[assignment]
    assert send(transport, make_segment(1), make_segment(2)) == 2
    transport.close()


def test_a_host_that_cannot_be_found_is_tried_again():
    transport = UdpTransport("udp://no-such-host.invalid:2000")
    encoded = transport.encode(Resource("shop"), [make_segment(1)], lambda: None)
    reply = transport.send(encoded.body)
    assert not reply.delivered
    assert reply.retry


def test_a_forked_child_opens_its_own_socket(daemon):
    transport = UdpTransport("udp://{}:{}".format(*daemon.getsockname()))
    send(transport, make_segment(1))
    parents = transport._socket
    transport.forget()
    send(transport, make_segment(2))
    assert parents is not None
    assert transport._socket is not parents
    assert len(documents(daemon, 2)) == 2
    parents.close()
    transport.close()


def test_the_header_is_what_daemons_read():
    assert json.loads(HEADER) == {"format": "json", "version": 1}
    assert HEADER.endswith(b"\n")
