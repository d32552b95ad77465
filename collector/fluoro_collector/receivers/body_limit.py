"""ASGI middleware: how much of request bodies may be in memory, for every route."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fluoro_collector.receivers.refusal import Refusal
from fluoro_collector.receivers.room import Room
from fluoro_collector.receivers.unpack import too_large

READ_TIMEOUT_S = 30.0
DISCARD_BYTES = 256 << 20  # read and thrown away so that a sender gets to read why


class BodyLimit:
    """Makes `receive` raise Refusal: TooLarge beyond `limit` bytes in one body (before reading, when Content-Length
    tells), BufferFull when all bodies being read or answered exceed `room`, TooSlow after 30 s for one body.

    An answer before the body's end waits until the rest has come in and is thrown away: a connection that is closed
    under a sender which is still writing is reset, and its answer lost.
    """

    def __init__(self, app: ASGIApp, limit: int, room: Room) -> None:
        self._app = app
        self._limit = limit
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        length = headers.get("content-length", "0")
        declared = int(length) if length.isdecimal() else 0
        if not declared and "transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        # A sender that waits for "100 Continue" has sent nothing and need not begin.
        begun = "expect" not in headers
        deadline = time.monotonic() + READ_TIMEOUT_S
        held = 0
        complete = False

        async def read() -> Message:
            nonlocal begun, complete
            begun = True
            message = await asyncio.wait_for(receive(), max(deadline - time.monotonic(), 0))
            complete = not message.get("more_body", False)
            return message

        async def limited() -> Message:
            nonlocal held
            if complete:
                return await receive()
            if declared > self._limit:
                raise too_large(self._limit)
            try:
                message = await read()
            except asyncio.TimeoutError:
                raise Refusal("TooSlow", f"the body did not arrive within {READ_TIMEOUT_S:g} s") from None
            size = len(message.get("body", b""))
            held += size
            try:
                self._room.take(size)
                if held > self._limit:
                    raise too_large(self._limit)
            except Refusal:
                # What came of it is dropped now, not when the sender has finished: the others fit again.
                self._room.give_back(held)
                held = 0
                raise
            return message

        async def discard() -> None:
            discarded = 0
            with suppress(asyncio.TimeoutError):
                while not complete and discarded < DISCARD_BYTES:
                    discarded += len((await read()).get("body", b""))

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start" and begun and not complete:
                await discard()
            await send(message)

        try:
            await self._app(scope, limited, send_after_body)
        finally:
            self._room.give_back(held)
