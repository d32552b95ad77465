"""The HTTP server of ports 4318 and 2000/TCP: one application on both."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Collection, Iterator, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from fluoro_collector.receivers.body_limit import BodyLimit
from fluoro_collector.receivers.browsers import Browsers
from fluoro_collector.receivers.connections import BoundedConnection
from fluoro_collector.receivers.http import error_response
from fluoro_collector.receivers.refusal import Refusal
from fluoro_collector.receivers.room import Room

KEEP_ALIVE_S = 75  # senders that flush once a minute keep their connection


def build_app(routes: Sequence[BaseRoute], *, limit: int, room: Room, hosts: Collection[str] | None = ()) -> Starlette:
    """`routes` behind the guard against web pages (see Browsers, `hosts`) and the body limits (see BodyLimit).

    A route that lets a Refusal through answers in our JSON form; one whose client has left answers nobody.
    """
    return Starlette(
        routes=routes,
        middleware=[Middleware(Browsers, hosts=hosts), Middleware(BodyLimit, limit=limit, room=room)],
        exception_handlers={Refusal: _on_refusal, ClientDisconnect: _on_disconnect},
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
                http=BoundedConnection,  # h11: reads what is left of a body after the answer, so a sender gets its 413
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


async def _on_disconnect(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it
