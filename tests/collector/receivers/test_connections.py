"""Connections that send their head slowly, or never, or that are too many."""

from __future__ import annotations

import asyncio

import pytest

from fluoro_collector.receivers import connections
from open_doors import Doors, open_doors

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def connect(doors: Doors) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = doors.http.removeprefix("http://").rsplit(":", 1)
    return await asyncio.open_connection(host, int(port))


async def is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 10) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("head", [b"", GET[:-4], GET + GET[:9]])
def test_a_head_that_does_not_arrive(monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.2)

    async def main() -> None:
        async with open_doors() as doors:
            reader, writer = await connect(doors)
            if head.startswith(GET):
                writer.write(GET)
                await reader.readuntil(b"\r\n\r\nNot Found")
            writer.write(head.removeprefix(GET))
            assert await is_closed(reader)
            writer.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_head_that_dribbles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.3)

    async def main() -> None:
        async with open_doors() as doors:
            reader, writer = await connect(doors)

            async def dribble() -> None:
                for number in range(10_000):
                    writer.write(b"GET / HTTP/1.1\r\n" if not number else b"X: y\r\n")
                    await asyncio.sleep(0.01)

            dribbling = asyncio.ensure_future(dribble())
            assert await is_closed(reader)
            dribbling.cancel()
            writer.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_slow_sender_of_a_body_and_a_kept_connection_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.2)

    async def main() -> None:
        async with open_doors() as doors:
            reader, writer = await connect(doors)
            for _ in range(2):
                writer.write(b"POST /v1/segments HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{")
                await asyncio.sleep(0.5)  # the bound itself: longer than the head may take
                writer.write(b"}")
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 415 ")
                await reader.readuntil(b"}}")
            writer.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_one_connection_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)

    async def main() -> None:
        async with open_doors() as doors:
            opened = [await connect(doors) for _ in range(2)]
            for _, writer in opened:
                writer.write(GET)
            for reader, _ in opened:
                await reader.readuntil(b"\r\n\r\nNot Found")
            reader, writer = await connect(doors)
            assert await is_closed(reader)
            writer.close()
            opened[0][1].write(GET)
            await opened[0][0].readuntil(b"\r\n\r\nNot Found")
            for _, other in opened:
                other.close()

    asyncio.run(asyncio.wait_for(main(), 60))
