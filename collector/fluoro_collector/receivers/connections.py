"""uvicorn's HTTP connection with the bounds it lacks: how long a request's head may take, how many may be open."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 4096  # on both ports together; each takes a file descriptor and about 20 KB


class BoundedConnection(H11Protocol):
    """Closed when no complete request head has come HEAD_TIMEOUT_S after it opened, or after the head's first byte.

    Between two requests uvicorn's keep-alive timeout holds; it also ends a head whose beginning came with the request
    before. One connection too many is closed at once: sockets that do
    nothing must not take the descriptors that the store needs.
    """

    _head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._head_deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._cancel()
        elif self._head_deadline is None:
            self._head_deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def _cancel(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _close(self) -> None:
        self._head_deadline = None
        self.transport.abort()
