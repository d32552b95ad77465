"""Queries are bounded in number, in waiting and in time, and stand in nobody's way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from fluoro_collector.api import readers
from fluoro_collector.api.readers import Readers, TimedEngine, is_timeout
from fluoro_collector.store.engine import StoreBusy
from fluoro_collector.store.store import Store


def request(*, left: bool = False) -> Request:
    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "GET", "headers": []}, receive)


def run(body: Callable[[Readers], Awaitable[None]]) -> None:
    async def main() -> None:
        await body(Readers())

    asyncio.run(asyncio.wait_for(main(), 60))


def test_four_run_a_hundred_wait_and_more_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_WAITING", 2)
    gate, running = threading.Event(), threading.Semaphore(0)

    def slow() -> str:
        running.release()
        assert gate.wait(30)
        return "done"

    async def body(pool: Readers) -> None:
        calls = [asyncio.ensure_future(pool.run(request(), slow)) for _ in range(readers.THREADS + 2)]
        for _ in range(readers.THREADS):
            assert await asyncio.to_thread(running.acquire, True, 30)
        with pytest.raises(StoreBusy):
            await pool.run(request(), slow)
        # The loop's own threads, which /readyz and the rollup use, are free.
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 10) == "free"
        gate.set()
        assert await asyncio.gather(*calls) == ["done"] * (readers.THREADS + 2)

    run(body)


def test_who_waits_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_SECONDS", 0.05)
    gate = threading.Event()

    async def body(pool: Readers) -> None:
        calls = [asyncio.ensure_future(pool.run(request(), lambda: gate.wait(30))) for _ in range(readers.THREADS)]
        await asyncio.sleep(0)  # they have taken all places
        with pytest.raises(StoreBusy, match="all the time"):
            await pool.run(request(), lambda: True)
        gate.set()
        assert all(await asyncio.gather(*calls))
        assert await pool.run(request(), lambda: "asked") == "asked"

    run(body)


def test_nobody_asks_for_a_client_that_has_left() -> None:
    asked: list[int] = []

    async def body(pool: Readers) -> None:
        for _ in range(readers.THREADS + 1):  # the place is given back
            with pytest.raises(ClientDisconnect):
                await pool.run(request(left=True), lambda: asked.append(1))
        assert await pool.run(request(), lambda: "asked") == "asked"

    run(body)
    assert asked == []


def test_a_cancelled_question_keeps_its_place_until_its_thread_is_done() -> None:
    gate, running = threading.Event(), threading.Semaphore(0)

    def slow() -> None:
        running.release()
        assert gate.wait(30)

    async def body(pool: Readers) -> None:
        calls = [asyncio.ensure_future(pool.run(request(), slow)) for _ in range(readers.THREADS)]
        for call in calls:
            assert await asyncio.to_thread(running.acquire, True, 30)
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        later = asyncio.ensure_future(pool.run(request(), lambda: "later"))
        await asyncio.sleep(0)
        assert not later.done()
        gate.set()
        assert await later == "later"

    run(body)


def test_the_statements_of_one_question_share_its_time(opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_SECONDS", 1)
    engine = TimedEngine(opened.engine)
    endless = "SELECT sum(sipHash64(number)) AS total FROM numbers(1000000000000)"

    def question() -> list[int]:
        with pytest.raises(StoreBusy) as first:
            engine.query(endless)
        assert is_timeout(first.value)
        with pytest.raises(StoreBusy) as second:
            engine.query("SELECT 1 AS one")
        assert is_timeout(second.value)
        return [1]

    async def body(pool: Readers) -> None:
        assert await pool.run(request(), question) == [1]
        assert await pool.run(request(), lambda: engine.query("SELECT 1 AS one")) == {"one": [1]}

    run(body)
