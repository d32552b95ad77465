from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from fluoro.model import WIRE_VERSION, Batch, Resource
from fluoro.wire import encode_batch
from fluoro_collector.receivers import grpc as door
from fluoro_collector.store.engine import StoreBusy
from memory_store import make_segment
from open_doors import LIMIT, Doors, open_doors, until
from otlp_requests import export_request, with_bad_span

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PUT = "/fluoro.v1.SegmentService/Put"


def run(body: Callable[[Doors, grpc.aio.Channel], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with open_doors(**options) as doors, grpc.aio.insecure_channel(doors.grpc) as channel:
            await body(doors, channel)

    asyncio.run(asyncio.wait_for(main(), 60))


async def refused(channel: grpc.aio.Channel, method: str, message: bytes) -> tuple[grpc.StatusCode, Status | None]:
    """The code and the attached google.rpc.Status of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await channel.unary_unary(method)(message)
    assert error.value.details()
    attached = dict(error.value.trailing_metadata() or ()).get("grpc-status-details-bin")
    return error.value.code(), Status.FromString(attached) if attached else None


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_otlp_through_the_generated_stub(compression: grpc.Compression) -> None:
    async def body(doors: Doors, channel: grpc.aio.Channel) -> None:
        stub = TraceServiceStub(channel)
        reply = await stub.Export(export_request(*range(1, 100)), compression=compression)
        assert not reply.HasField("partial_success")
        assert doors.store.ids() == list(range(1, 100))
        assert doors.counters.door("grpc").stored == 99
        assert not (await stub.Export(export_request())).HasField("partial_success")

    run(body)


def test_a_bad_span_is_reported_and_the_others_are_stored() -> None:
    async def body(doors: Doors, channel: grpc.aio.Channel) -> None:
        reply = ExportTraceServiceResponse.FromString(await channel.unary_unary(EXPORT)(with_bad_span(1, 2)))
        assert reply.partial_success.rejected_spans == 1
        assert "InvalidTraceId" in reply.partial_success.error_message
        assert doors.store.ids() == [1, 2]

    run(body)


def test_native_batches() -> None:
    async def body(doors: Doors, channel: grpc.aio.Channel) -> None:
        batch = encode_batch(Batch(WIRE_VERSION, Resource(), [make_segment(1), make_segment(2, name="")]))
        reply = json.loads(await channel.unary_unary(PUT)(batch))
        assert (reply["stored"], reply["rejected"][0]["code"]) == (1, "MissingName")
        assert doors.store.ids() == [1]

    run(body)


@pytest.mark.parametrize("method", [EXPORT, PUT])
@pytest.mark.parametrize("message", [b"\x0a\xff\xff\xff", os.urandom(300), b'{"resourceSpans": []}'])
def test_what_cannot_be_decoded_must_not_be_retried(method: str, message: bytes) -> None:
    async def body(doors: Doors, channel: grpc.aio.Channel) -> None:
        code, status = await refused(channel, method, message)
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert status is not None
        assert (status.code, list(status.details)) == (3, [])
        assert doors.counters.door("grpc").rejected == {"Undecodable": 1}

    run(body)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
@pytest.mark.parametrize("size", [LIMIT + 1, 40 << 20])
def test_a_message_that_is_too_large_must_not_be_retried(compression: grpc.Compression, size: int) -> None:
    async def body(doors: Doors, channel: grpc.aio.Channel) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await channel.unary_unary(EXPORT)(bytes(size), compression=compression)
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        status = dict(error.value.trailing_metadata() or ()).get("grpc-status-details-bin")
        assert not status or not Status.FromString(status).details
        await until(lambda: doors.counters.door("grpc").rejected == {"TooLarge": 1})
        assert await channel.unary_unary(EXPORT)(export_request(1).SerializeToString()) == b""

    run(body)


def test_overload_and_a_busy_store_say_when_to_come_back() -> None:
    data = export_request(1).SerializeToString()

    async def body(doors: Doors, channel: grpc.aio.Channel) -> None:
        doors.store.gate.clear()
        held = asyncio.ensure_future(_call(channel, data))
        assert await asyncio.to_thread(doors.store.entered.acquire, True, 30)
        for reason, seconds in (("BufferFull", 1), ("StoreBusy", 5)):
            code, status = await refused(channel, EXPORT, data)
            assert code == grpc.StatusCode.UNAVAILABLE
            assert status is not None
            info = RetryInfo()
            assert status.details[0].Unpack(info)
            assert info.retry_delay.ToTimedelta().total_seconds() == seconds
            assert reason in status.message
            if reason == "BufferFull":
                doors.store.gate.set()
                assert await held == b""
                doors.store.refuse = _busy
        assert doors.counters.door("grpc").rejected == {"BufferFull": 1, "StoreBusy": 1}

    run(body, buffer=int(1.5 * len(data)))


async def _call(channel: grpc.aio.Channel, data: bytes) -> bytes:
    reply: bytes = await channel.unary_unary(EXPORT)(data)
    return reply


def _busy(_: object) -> None:
    raise StoreBusy("too many parts")


def test_a_client_that_gives_up_is_stored_all_the_same() -> None:
    async def body(doors: Doors, channel: grpc.aio.Channel) -> None:
        doors.store.gate.clear()
        call = channel.unary_unary(EXPORT)(export_request(1).SerializeToString())
        waiting = asyncio.ensure_future(_finish(call))
        assert await asyncio.to_thread(doors.store.entered.acquire, True, 30)
        call.cancel()
        await waiting
        doors.store.gate.set()
        assert await channel.unary_unary(EXPORT)(export_request(2).SerializeToString()) == b""
        assert doors.store.ids() == [1, 2]

    run(body)


async def _finish(call: Any) -> None:
    with pytest.raises(asyncio.CancelledError):
        await call


def test_an_unknown_method_is_not_ours() -> None:
    async def body(_: Doors, channel: grpc.aio.Channel) -> None:
        code, _status = await refused(channel, "/fluoro.v1.SegmentService/Get", b"")
        assert code == grpc.StatusCode.UNIMPLEMENTED

    run(body)


def test_all_messages_together_are_bounded() -> None:
    async def body(doors: Doors, channel: grpc.aio.Channel) -> None:
        doors.store.gate.clear()
        segments = [make_segment(n, user="u" * 100) for n in range(1, 300)]
        data = encode_batch(Batch(WIRE_VERSION, Resource(), segments))
        assert LIMIT / 8 < len(data) < LIMIT / 4
        calls = [asyncio.ensure_future(channel.unary_unary(PUT)(data)) for _ in range(12)]
        await until(lambda: doors.counters.door("grpc").rejected["BufferFull"])
        doors.store.gate.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {each.code() for each in outcomes if isinstance(each, grpc.aio.AioRpcError)} == {
            grpc.StatusCode.UNAVAILABLE
        }
        assert any(isinstance(each, bytes) for each in outcomes)
        await channel.unary_unary(PUT)(data)  # the room is given back

    run(body, buffer=LIMIT)


def test_senders_that_never_send_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MAX_READING", 2)
    monkeypatch.setattr(door, "READ_TIMEOUT_S", 0.2)

    async def body(doors: Doors, channel: grpc.aio.Channel) -> None:
        never = asyncio.Event()

        async def nothing() -> AsyncIterator[bytes]:
            await never.wait()
            yield b""

        calls = [channel.stream_unary(PUT)(nothing()) for _ in range(5)]
        data = encode_batch(Batch(WIRE_VERSION, Resource(), [make_segment(1)]))
        assert json.loads(await channel.unary_unary(PUT)(data))["stored"] == 1
        for each in calls:
            assert await each.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert doors.counters.door("grpc").rejected == {"TooSlow": 5}

    run(body)


def test_a_sender_that_leaves_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async def body(doors: Doors, channel: grpc.aio.Channel) -> None:
        async def nothing() -> AsyncIterator[bytes]:
            await asyncio.Event().wait()
            yield b""

        calls = [channel.stream_unary(PUT)(nothing()) for _ in range(5)]
        await asyncio.gather(*(each.wait_for_connection() for each in calls))
        for each in calls:
            each.cancel()
        data = encode_batch(Batch(WIRE_VERSION, Resource(), [make_segment(1)]))
        assert json.loads(await channel.unary_unary(PUT)(data))["stored"] == 1

    run(body)
    assert "Traceback" not in caplog.text
