"""An answer that is computed and sent piece by piece, in the readers' threads: one that is too large for memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fluoro_collector.ingest import what
from fluoro_collector.store.engine import StoreError

from .answers import JSON
from .readers import Readers

log = logging.getLogger(__name__)

Pieces = Iterator[bytes]


async def streamed(request: Request, readers: Readers, begin: Callable[[], Pieces | None]) -> Response | None:
    """The pieces that `begin` gives as one answer; None where it gives None.

    Each piece is a question of its own for the readers: it has their time, and others come in between. What fails before
    the second piece is raised here, as with any question. Later the status is long sent: the connection is closed, so the
    client sees that the answer is not whole.
    """

    def start() -> tuple[Pieces, bytes, bytes] | None:
        pieces = begin()
        return None if pieces is None else (pieces, next(pieces), next(pieces, b""))

    started = await readers.run(request, start)
    if started is None:
        return None
    pieces, first, second = started
    if not second:
        return Response(first, media_type=JSON)
    return _Stream(request, readers, pieces, [first, second])


class _Stream(Response):
    media_type = JSON

    def __init__(self, request: Request, readers: Readers, pieces: Pieces, ready: list[bytes]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._request = request
        self._readers = readers
        self._pieces = pieces
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for piece in self._ready:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        try:
            while piece := await self._readers.run(self._request, lambda: next(self._pieces, b"")):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except ClientDisconnect:
            return
        except StoreError as failure:
            log.error("%s: the answer broke off: %s", scope["route"].path, what(failure))  # noqa: TRY400 - see `what`
            return  # the server closes a connection whose answer is not finished
        await send({"type": "http.response.body", "body": b"", "more_body": False})
