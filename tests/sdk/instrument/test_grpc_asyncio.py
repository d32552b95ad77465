"""gRPC's asyncio client and server, against each other over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent import futures
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio._channel
import pytest

from contracts.rpc import SERVICE, RpcContract, calls, outcome, path_of
from fluoro.recorder import recorder
from fluoro.testing import Spans


async def echo_unary_unary(request: bytes, _context: Any) -> bytes:
    return request


async def echo_unary_stream(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    yield request


async def echo_stream_unary(requests: AsyncIterator[bytes], _context: Any) -> bytes:
    return b"".join([request async for request in requests])


async def echo_stream_stream(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


async def refuse(request: bytes, context: Any) -> None:
    await context.abort(grpc.StatusCode[request.decode()], "no such card")


async def break_down(_request: bytes, _context: Any) -> bytes:
    raise ValueError("no such card")


async def break_later(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    yield request
    raise ValueError("no such card")


async def set_status(request: bytes, context: Any) -> bytes:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    return request


async def metadata(_request: bytes, context: Any) -> bytes:
    return "\n".join(f"{key}={value}" for key, value in context.invocation_metadata()).encode()


async def forever(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    yield request
    yield request
    await asyncio.sleep(10)


async def work(request: bytes, _context: Any) -> bytes:
    with recorder.begin("work"):
        return request


async def work_stream(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    with recorder.begin("work"):
        yield request
    with recorder.begin("work"):
        yield request


async def writer(request: bytes, context: Any) -> None:
    with recorder.begin("work"):
        await context.write(request)
    await context.write(request)


def blocking(request: bytes, _context: Any) -> bytes:
    with recorder.begin("work"):
        return request


def blocking_stream(request: bytes, _context: Any) -> Any:
    with recorder.begin("work"):
        yield request
    yield request


def blocking_refuse(request: bytes, context: Any) -> bytes:
    if request == b"set":
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details(f"for {context.peer()}")
        return request
    context.abort(grpc.StatusCode.INTERNAL, "no such card")
    raise AssertionError("abort raises")


HANDLERS = {
    "Echo_unary_unary": grpc.unary_unary_rpc_method_handler(echo_unary_unary),
    "Echo_unary_stream": grpc.unary_stream_rpc_method_handler(echo_unary_stream),
    "Echo_stream_unary": grpc.stream_unary_rpc_method_handler(echo_stream_unary),
    "Echo_stream_stream": grpc.stream_stream_rpc_method_handler(echo_stream_stream),
    "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
    "Break": grpc.unary_unary_rpc_method_handler(break_down),
    "BreakLater": grpc.unary_stream_rpc_method_handler(break_later),
    "Set": grpc.unary_unary_rpc_method_handler(set_status),
    "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
    "Forever": grpc.unary_stream_rpc_method_handler(forever),
    "Work": grpc.unary_unary_rpc_method_handler(work),
    "WorkStream": grpc.unary_stream_rpc_method_handler(work_stream),
    "Writer": grpc.unary_stream_rpc_method_handler(writer),
    "Blocking": grpc.unary_unary_rpc_method_handler(blocking),
    "BlockingRefuse": grpc.unary_unary_rpc_method_handler(blocking_refuse),
    "BlockingStream": grpc.unary_stream_rpc_method_handler(blocking_stream),
}
EXPORT = {"Export": grpc.unary_unary_rpc_method_handler(echo_unary_unary)}


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[str]:
    handlers = (
        grpc.method_handlers_generic_handler(SERVICE, HANDLERS),
        grpc.method_handlers_generic_handler("opentelemetry.proto.collector.trace.v1.TraceService", EXPORT),
    )
    with futures.ThreadPoolExecutor(2) as threads:
        server = grpc.aio.server(threads, handlers=handlers, **options)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(None)


async def call(channel: Any, method: str, requests: Sequence[bytes], kind: str, answers: int, **options: Any) -> Any:
    stub = getattr(channel, kind)(path_of(method))
    ongoing = stub(iter(requests) if kind.startswith("stream") else requests[0], **options)
    if kind.endswith("unary"):
        return [await ongoing]
    if answers < 0:
        return [answer async for answer in ongoing]
    found = [await ongoing.read() for _ in range(answers)]
    ongoing.cancel()
    return found


def connected(test: Callable[[Any], Awaitable[Any]], **options: Any) -> Any:
    """Run `test(channel)` with a channel to a server of its own."""

    async def run() -> Any:
        async with serving() as address, grpc.aio.insecure_channel(address, **options) as channel:
            return await test(channel)

    return asyncio.run(run())


class TestGrpcAsyncio(RpcContract):
    def originals(self) -> list[Any]:
        library: Any = grpc.aio._channel
        kinds = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")
        return [
            grpc.aio.server,
            library.Channel.__init__,
            *(getattr(library, f"{kind}MultiCallable").__call__ for kind in kinds),
        ]

    def exchange(
        self, method: str, requests: Sequence[bytes], kind: str = "unary_unary", *, answers: int = -1, **options: Any
    ) -> list[bytes]:
        found: list[bytes] = connected(lambda channel: call(channel, method, requests, kind, answers, **options))
        return found

    def test_handlers_that_write_and_handlers_of_threads(self, spans: Spans) -> None:
        assert self.exchange("Writer", [b"x"], "unary_stream") == [b"x", b"x"]
        assert self.exchange("Blocking", [b"x"]) == [b"x"]
        assert self.exchange("BlockingStream", [b"x"], "unary_stream") == [b"x", b"x"]
        finished = spans.take(9)
        servers = [span for span in finished if not span.subsegment]
        assert sorted(span.operation for span in servers) == [
            path_of(name) for name in ("Blocking", "BlockingStream", "Writer")
        ]
        assert {span.parent_id for span in finished if span.name == "work"} == {span.id for span in servers}

    @pytest.mark.parametrize(
        ("request_", "expected"), [(b"set", (True, False, False)), (b"abort", (False, False, True))]
    )
    def test_the_status_of_a_handler_in_a_thread(self, request_: bytes, expected: Any, spans: Spans) -> None:
        with pytest.raises(grpc.RpcError):
            self.exchange("BlockingRefuse", [request_])
        client, server = calls(spans.take(2))
        assert outcome(client) == outcome(server) == expected

    def test_reading_and_writing_a_stream(self, spans: Spans) -> None:
        async def test(channel: Any) -> list[bytes]:
            ongoing = channel.stream_stream(path_of("Echo_stream_stream"))()
            await ongoing.write(b"a")
            first = await ongoing.read()
            assert spans.take() == []
            await ongoing.write(b"b")
            await ongoing.done_writing()
            return [first, await ongoing.read()]

        assert connected(test) == [b"a", b"b"]
        client, server = calls(spans.take(2))
        assert server.parent_id == client.id
        assert outcome(client) == outcome(server) == (False, False, False)

    def test_calls_at_the_same_time(self, spans: Spans) -> None:
        async def request(channel: Any, number: int) -> None:
            with recorder.begin_segment(f"GET /{number}"):
                await channel.unary_unary(path_of("Echo_unary_unary"))(b"x")

        async def test(channel: Any) -> None:
            await asyncio.gather(*(request(channel, number) for number in range(5)))

        connected(test)
        finished = spans.take(15)
        entries = {span.id for span in finished if span.operation.startswith("GET")}
        assert {span.parent_id for span in finished if span.subsegment} == entries
        assert len(entries) == 5

    def test_a_cancelled_task_is_no_fault(self, spans: Spans) -> None:
        async def test(channel: Any) -> None:
            ongoing = channel.unary_stream(path_of("Forever"))(b"x")
            await ongoing.read()
            await ongoing.read()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(ongoing.read(), 0.05)

        connected(test)
        client, server = calls(spans.take(2))
        assert outcome(client) == outcome(server) == (False, False, False)

    def test_interceptors_of_the_application_run(self, spans: Spans) -> None:
        seen: list[str] = []

        class Client(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
            async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
                details.metadata.add("card", "visa")
                seen.append("client")
                return await continuation(details, request)

        class Server(grpc.aio.ServerInterceptor):  # type: ignore[misc]
            async def intercept_service(self, continuation: Any, details: Any) -> Any:
                seen.append("server")
                return await continuation(details)

        async def run() -> None:
            async with (
                serving(interceptors=[Server()]) as address,
                grpc.aio.insecure_channel(address, interceptors=[Client()]) as channel,
            ):
                assert b"card=visa" in await channel.unary_unary(path_of("Metadata"))(b"x")

        asyncio.run(run())
        client, server = calls(spans.take(2))
        assert server.parent_id == client.id
        assert seen == ["client", "server"]
        assert client.name.startswith("127.0.0.1:")

    def test_no_server(self, spans: Spans) -> None:
        async def run() -> None:
            async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
                with pytest.raises(grpc.RpcError):
                    await channel.unary_unary(path_of("Echo_unary_unary"))(b"x")

        asyncio.run(run())
        span = spans.one()
        assert (span.name, outcome(span)) == ("127.0.0.1:1", (False, False, True))
