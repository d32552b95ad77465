"""The HTTP server of ports 4318 and 2000/TCP: one application on both."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from fluoro_collector.receivers.body_limit import BodyLimit
from fluoro_collector.receivers.http import error_response
from fluoro_collector.receivers.refusal import Refusal

KEEP_ALIVE_S = 75  # senders that flush once a minute keep their connection


def build_app(routes: Sequence[BaseRoute], *, limit: int, total: int) -> Starlette:
    """`routes` behind the body limits (see BodyLimit); a route that lets a Refusal through answers in our JSON form."""
    return Starlette(
        routes=routes,
        middleware=[Middleware(BodyLimit, limit=limit, total=total)],
        exception_handlers={Refusal: _on_refusal},
    )


class WebServer(uvicorn.Server):
    """uvicorn on our sockets and without its signal handlers: `serve` decides when to stop.

    `serve(sockets=[…])` runs until `should_exit`, then answers requests in flight for at most `grace_s` seconds.
    `open` is set once it answers.
    """

    def __init__(self, app: Starlette, grace_s: float) -> None:
        self.open = asyncio.Event()
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",  # reads what is left of a body after the answer, so a sender gets its 413
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, int(grace_s)),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.open.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _on_refusal(_: Request, refusal: Exception) -> Response:
    if not isinstance(refusal, Refusal):
        raise refusal
    return error_response(refusal)
