"""redis-py's asyncio and cluster clients, of 4.4 and later, against a real server and a real cluster of one node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio as aio

from contracts.instrumented import instrumented
from fluoro.recorder import recorder
from fluoro.testing import Spans
from servers.redis import redis_server

NAME = "redis@127.0.0.1"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with redis_server() as port:
        yield port


@pytest.fixture(scope="module")
def cluster_port() -> Iterator[int]:
    with redis_server(cluster=True) as port:
        yield port


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    with instrumented("redis"):
        yield


class TestAsyncio:
    @pytest.fixture
    def run(self, port: int) -> Callable[[Callable[[Any], Awaitable[Any]]], Any]:
        async def connected(work: Callable[[Any], Awaitable[Any]]) -> Any:
            client = aio.Redis(host="127.0.0.1", port=port)
            try:
                return await work(client)
            finally:
                await client.connection_pool.disconnect()

        return lambda work: asyncio.run(connected(work))

    def test_commands_and_pipelines(self, run: Any, spans: Spans) -> None:
        async def work(client: Any) -> None:
            with recorder.begin_segment("GET /"):
                assert await client.set("a", "secret")
                async with client.pipeline() as pipe:
                    assert await pipe.get("a").get("b").execute() == [b"secret", None]

        run(work)
        one, many, entry = spans.take(3)
        assert [span.operation for span in (one, many, entry)] == ["SET", "PIPELINE", "GET /"]
        assert one.parent_id == many.parent_id == entry.id
        assert one.name == many.name == NAME
        assert many.metadata == {"redis": {"commands": ["GET", "GET"]}}
        assert "secret" not in repr((one, many))

    def test_watching(self, run: Any, spans: Spans) -> None:
        async def work(client: Any) -> None:
            async with client.pipeline() as pipe:
                await pipe.watch("n")
                await pipe.get("n")
                pipe.multi()
                pipe.set("n", 1)
                assert await pipe.execute() == [True]

        run(work)
        assert [span.operation for span in spans.take(3)] == ["WATCH", "GET", "PIPELINE"]

    def test_tasks_do_not_mix(self, run: Any, spans: Spans) -> None:
        async def request(client: Any, number: int) -> None:
            with recorder.begin_segment(f"GET /{number}"):
                await client.get(f"{number}")

        async def work(client: Any) -> None:
            await asyncio.gather(*(request(client, number) for number in range(5)))

        run(work)
        finished = spans.take(10)
        entries = {span.id for span in finished if not span.subsegment}
        assert {span.parent_id for span in finished if span.subsegment} == entries

    def test_a_cancelled_call_is_no_fault(self, run: Any, spans: Spans) -> None:
        async def work(client: Any) -> None:
            with recorder.begin_segment("GET /"), pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.wait(1, 5_000), 0.02)  # for a replica, and there is none

        run(work)
        call, entry = spans.take(2)
        assert (call.operation, call.fault, call.cause) == ("WAIT", False, None)
        assert call.parent_id == entry.id

    def test_an_error(self, run: Any, spans: Spans) -> None:
        async def work(client: Any) -> None:
            await client.set("text", "x")
            with pytest.raises(redis.ResponseError):
                await client.incr("text")

        run(work)
        assert [span.fault for span in spans.take(2)] == [False, True]


class TestCluster:
    def test_one_span_for_each_call(self, cluster_port: int, spans: Spans) -> None:
        cluster = redis.RedisCluster(host="127.0.0.1", port=cluster_port)
        spans.take()  # what it asked to know the cluster's nodes
        assert cluster.set("a", "secret")
        pipe = cluster.pipeline()
        pipe.get("a")
        pipe.get("b")
        assert pipe.execute() == [b"secret", None]
        cluster.close()
        one, many = spans.take(2)
        assert (one.name, one.operation) == (NAME, "SET")
        assert (many.name, many.operation) == (NAME, "PIPELINE")
        assert many.metadata == {"redis": {"commands": ["GET", "GET"]}}

    def test_asyncio(self, cluster_port: int, spans: Spans) -> None:
        async def work() -> None:
            cluster = aio.RedisCluster(host="127.0.0.1", port=cluster_port)
            with recorder.begin_segment("GET /"):
                assert await cluster.set("a", "secret")
                assert await cluster.pipeline().get("a").get("b").execute() == [b"secret", None]
            await (cluster.aclose() if hasattr(cluster, "aclose") else cluster.close())

        asyncio.run(work())
        one, many, _ = spans.take(3)
        assert (one.name, one.operation) == (NAME, "SET")
        assert (many.name, many.operation) == (NAME, "PIPELINE")
        assert many.metadata == {"redis": {"commands": ["GET", "GET"]}}
