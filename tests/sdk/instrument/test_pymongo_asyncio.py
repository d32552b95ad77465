"""pymongo's AsyncMongoClient, of 4.9 and later, against a server that speaks MongoDB's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient, errors

from contracts.instrumented import instrumented
from fluoro.recorder import recorder
from fluoro.testing import Spans
from servers.fake_mongo import fake_mongo


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with fake_mongo() as port:
        yield port


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    with instrumented("pymongo"):
        yield


def run(port: int, work: Callable[[Any], Awaitable[None]]) -> None:
    async def connected() -> None:
        async with AsyncMongoClient("127.0.0.1", port, retryReads=False) as client:
            await work(client.shop.orders)

    asyncio.run(connected())


def test_calls_of_tasks_do_not_mix(port: int, spans: Spans) -> None:
    async def request(orders: Any, number: int) -> None:
        with recorder.begin_segment(f"GET /{number}"):
            await orders.find_one({"_id": number})
            await orders.find_one({"_id": number})

    async def work(orders: Any) -> None:
        await asyncio.gather(*(request(orders, number) for number in range(4)))

    run(port, work)
    finished = [span for span in spans.take() if span.operation != "endSessions"]
    calls = [span for span in finished if span.subsegment]
    assert {(call.name, call.operation) for call in calls} == {("shop@127.0.0.1", "find orders")}
    assert sorted(call.parent_id for call in calls) == sorted(
        span.id for span in finished if not span.subsegment for _ in range(2)
    )
    assert len(calls) == 8


def test_an_error(port: int, spans: Spans) -> None:
    async def work(orders: Any) -> None:
        with recorder.begin_segment("GET /"), pytest.raises(errors.OperationFailure):
            await orders.find_one({"$nonsense": 1})

    run(port, work)
    call, _ = (span for span in spans.take() if span.operation != "endSessions")
    assert (call.operation, call.fault) == ("find orders", True)
    assert call.cause is not None
    assert call.cause.exceptions[0].type == "pymongo.errors.OperationFailure"
