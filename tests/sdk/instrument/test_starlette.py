from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from inspect import iscoroutinefunction
from typing import Any

import pytest
import starlette
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from contracts.async_server import AsyncServerContract, leave_behind, wait
from contracts.broken_middleware import BrokenMiddleware
from contracts.http_server import Client
from contracts.serve_asgi import serve_asgi
from fluoro.recorder import recorder
from fluoro.testing import Spans

STARLETTE = tuple(int(part) for part in starlette.__version__.split(".")[:2])


async def item(request: Request) -> Response:
    with recorder.begin("work"):
        await asyncio.sleep(0)
        return PlainTextResponse(f"item {request.path_params['id']}")


async def create(request: Request) -> Response:
    return Response(status_code=201)


async def boom(request: Request) -> Response:
    raise ZeroDivisionError("the application's own")


async def status(request: Request) -> Response:
    return Response(status_code=request.path_params["code"])


async def stream(request: Request) -> Response:
    async def chunks() -> AsyncIterator[str]:
        for number in range(3):
            with recorder.begin("chunk"):
                yield str(number)

    return StreamingResponse(chunks())


async def broken_stream(request: Request) -> Response:
    async def chunks() -> AsyncIterator[str]:
        yield "x"
        raise ZeroDivisionError

    return StreamingResponse(chunks())


async def later(request: Request) -> Response:
    leave_behind()
    return Response()


async def waiting(request: Request) -> Response:
    await wait()
    return Response()


async def upload(request: Request) -> Response:
    _arrived.set()
    await request.body()
    return Response()


async def in_background(request: Request) -> Response:
    async def work() -> None:
        recorder.begin("background").end()

    return Response(background=BackgroundTask(work))


async def thing(request: Request) -> Response:
    return PlainTextResponse(request.path_params["name"])


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    with recorder.begin("talk"):
        await websocket.send_text("hello")
    await websocket.close()


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        text = await websocket.receive_text()
        if text == "boom":
            raise ZeroDivisionError
        if text != "ping":
            break
        with recorder.begin("talk"):
            await websocket.send_text("pong")
    await websocket.close(1011 if text == "bad" else 1000)


_arrived = threading.Event()

ROUTES = [
    Route("/items/{id:int}", item),
    Route("/items", create, methods=["POST"]),
    Route("/boom", boom),
    Route("/status/{code:int}", status),
    Route("/stream", stream),
    Route("/broken-stream", broken_stream),
    Route("/later", later),
    Route("/wait", waiting),
    Route("/upload", upload, methods=["POST"]),
    Route("/in-background", in_background),
    WebSocketRoute("/talk/{room}", talk),
    Mount("/sub", Starlette(routes=[Route("/things/{name}", thing)])),
    Mount("/shops/{shop}", routes=[Route("/things/{name}", thing)]),
    WebSocketRoute("/chat/{room}", chat),
]


class TestStarlette(AsyncServerContract):
    library = "starlette"

    def application(self) -> Any:
        return Starlette(routes=ROUTES, middleware=[Middleware(BrokenMiddleware)])

    def serve(self) -> Any:
        return serve_asgi(self.application(), ws="wsproto")

    def originals(self) -> list[Any]:
        return [vars(Starlette)["__call__"], *(vars(kind)["handle"] for kind in (Mount, Route, WebSocketRoute))]

    def test_stays_a_coroutine_function(self) -> None:
        assert iscoroutinefunction(Starlette.__call__)
        assert iscoroutinefunction(self.application().__call__)

    def test_background_tasks_belong_to_the_request(self, ask: Client, spans: Spans) -> None:
        ask("GET", "/in-background")
        first, second = sorted(spans.take(2), key=lambda segment: segment.subsegment)
        assert (first.operation, second.name, second.parent_id) == ("GET /in-background", "background", first.id)

    def test_a_mount_with_parameters_keeps_its_template(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/shops/berlin/things/x")[1] == b"x"
        assert spans.one().operation == "GET /shops/{shop}/things/{name}"

    def test_root_path_is_in_front(self, spans: Spans) -> None:
        with serve_asgi(self.application(), root_path="/api") as port, closing(Client(port)) as ask:
            status = ask("GET", "/sub/things/x")[0]
        # Before 0.33 Starlette did not expect the root path in `path`, where uvicorn ≥ 0.26 puts it: it finds no route.
        assert status == (404 if STARLETTE < (0, 33) else 200)
        assert spans.one().operation == ("GET unmatched" if STARLETTE < (0, 33) else "GET /api/sub/things/{name}")

    def test_a_websocket_is_one_segment(self, spans: Spans) -> None:
        sent = drive(self.application(), {"type": "websocket", "path": "/chat/7"}, {"type": "websocket.connect"})
        assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
        talk, connection = spans.take(2)
        assert talk.parent_id == connection.id
        assert connection.operation == "WS /chat/{room}"
        assert connection.http is not None
        assert connection.http.status == 101

    def test_lifespan_is_not_traced(self, spans: Spans) -> None:
        messages = ({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
        drive(self.application(), {"type": "lifespan"}, *messages)
        assert spans.take() == []

    def test_the_exception_reaches_the_server_unchanged(self, spans: Spans) -> None:
        with pytest.raises(Exception) as raised:
            drive(self.application(), {"type": "http", "path": "/boom", "method": "GET"}, {"type": "http.request"})
        error = raised.value
        if STARLETTE < (0, 28):  # behind a middleware it hands on anyio's group
            error = getattr(error, "exceptions", [error])[0]
        assert (type(error), str(error)) == (ZeroDivisionError, "the application's own")
        assert spans.one().fault

    def test_a_client_that_goes_away_while_it_sends_is_no_fault(self, port: int, spans: Spans) -> None:
        _arrived.clear()
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234")
            assert _arrived.wait(10)
        request = spans.one()
        assert (request.operation, request.fault, request.cause) == ("POST /upload", False, None)


class TestBehindMiddleware(TestStarlette):
    """`BaseHTTPMiddleware` runs the application in a task of its own, with a copy of the context."""

    def application(self) -> Any:
        async def dispatch(request: Request, call_next: Any) -> Response:
            return await call_next(request)  # type: ignore[no-any-return]

        behind = [Middleware(BaseHTTPMiddleware, dispatch=dispatch), Middleware(BrokenMiddleware)]
        return Starlette(routes=ROUTES, middleware=behind)

    def test_a_stream_that_breaks_is_a_fault(self, ask: Client, spans: Spans) -> None:
        """Only in old versions: newer ones end the body as if it were whole and raise when nobody waits any more."""
        try:
            ask("GET", "/broken-stream")
            broken = False
        except http.client.IncompleteRead:
            broken = True
        assert spans.one().fault == broken


def drive(app: Any, scope: dict[str, Any], *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Run one connection through `app` without a server; what it sent."""
    sent: list[dict[str, Any]] = []
    inbox = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(inbox)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({"headers": [], "query_string": b"", **scope}, receive, send))
    return sent
