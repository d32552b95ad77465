"""The gRPC door: OTLP's TraceService and native batches, on raw bytes (no generated classes).

The methods are unary for the client and read here as streams of one message: on the wire they are the same, and so
the handler runs before the message is read. That lets it turn a sender away while the bytes are still in the sender,
and count a message that gRPC itself refuses for its size.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import grpc
import grpc.aio

from fluoro_collector.decode import native, otlp
from fluoro_collector.receivers import status
from fluoro_collector.receivers.http import reply
from fluoro_collector.receivers.refusal import DEADLINE_EXCEEDED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, Refusal
from fluoro_collector.receivers.room import Room
from fluoro_collector.receivers.take import Decode, Taker
from fluoro_collector.receivers.unpack import too_large

OTLP_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
NATIVE_SERVICE = "fluoro.v1.SegmentService"
DOOR = "grpc"

# gRPC hands out whole messages, so what is being read cannot be counted in bytes: it is counted in messages.
MAX_READING = 16
MAX_WAIT_S = 5.0  # for one of these places
READ_TIMEOUT_S = 10.0
MAX_CALLS = 1_000  # at one time; gRPC itself refuses more with RESOURCE_EXHAUSTED
IDLE_S = 300  # a connection without calls is closed after this; clients connect again by themselves

_CODES = {
    INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class GrpcDoor:
    """A `grpc.aio` server; make it on the running loop. `taker.limit` bounds a message, decompressed too; `room` all."""

    def __init__(self, taker: Taker, room: Room) -> None:
        self._taker = taker
        self._room = room
        self._reading = asyncio.Semaphore(MAX_READING)
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", taker.limit),
                # Without this a second collector would silently share the port and get half of the traffic.
                ("grpc.so_reuseport", 0),
                ("grpc.max_connection_idle_ms", IDLE_S * 1000),
            ],
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    OTLP_SERVICE, {"Export": grpc.stream_unary_rpc_method_handler(self._export)}
                ),
                grpc.method_handlers_generic_handler(
                    NATIVE_SERVICE, {"Put": grpc.stream_unary_rpc_method_handler(self._put)}
                ),
            )
        )

    def bind(self, address: str) -> int:
        """Take `host:port`; the port in use, for port 0. Raises RuntimeError when it is taken."""
        return int(self._server.add_insecure_port(address))

    async def start(self) -> None:
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Accept no more calls; those running may finish within `grace_s` seconds."""
        await self._server.stop(grace_s)

    async def _export(self, _messages: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        receipt = await self._take(context, otlp.decode_protobuf)
        return status.success_protobuf(receipt.rejections)

    async def _put(self, _messages: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return reply(await self._take(context, native.decode))

    async def _take(self, context: Any, decode: Decode) -> Any:
        try:
            message = await self._read(context)
        except Refusal as refusal:
            await _abort(context, self._taker.refuse(DOOR, refusal))
        try:
            try:
                self._room.take(len(message))
            except Refusal as refusal:
                raise self._taker.refuse(DOOR, refusal) from None
            return await self._taker.take(DOOR, message, decode)
        except Refusal as refusal:
            await _abort(context, refusal)
        finally:
            self._room.give_back(len(message))

    async def _read(self, context: Any) -> bytes:
        """The message. Until here its bytes are in the sender, but for a window. Raises Refusal."""
        try:
            await asyncio.wait_for(self._reading.acquire(), MAX_WAIT_S)
        except asyncio.TimeoutError:
            raise Refusal(
                "BufferFull", "the collector is reading as many messages as it may (BufferFull)", 1.0
            ) from None
        try:
            message = await asyncio.wait_for(context.read(), READ_TIMEOUT_S)
        except asyncio.TimeoutError:
            raise Refusal("TooSlow", f"the message did not arrive within {READ_TIMEOUT_S:g} s") from None
        finally:
            self._reading.release()
        if not isinstance(message, bytes):
            # gRPC refused the message for its size and has told the sender: RESOURCE_EXHAUSTED without RetryInfo. A
            # sender that left looks the same.
            raise too_large(self._taker.limit)
        return message


async def _abort(context: Any, refusal: Refusal) -> NoReturn:
    code = _CODES.get(refusal.code, grpc.StatusCode.UNAVAILABLE)
    details = (("grpc-status-details-bin", status.status_protobuf(refusal)),)
    try:
        await context.abort(code, refusal.message, trailing_metadata=details)
    except grpc.aio.InternalError:  # the sender has left
        raise asyncio.CancelledError from None
    raise AssertionError("abort raises")
