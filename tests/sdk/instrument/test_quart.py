from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

from quart import Quart, Response, websocket
from quart.app import Quart as Application

from contracts.async_server import AsyncServerContract, leave_behind, wait
from contracts.broken_middleware import BrokenMiddleware
from contracts.http_server import Client
from contracts.serve_asgi import serve_asgi
from fluoro.recorder import recorder
from fluoro.testing import Spans


def application() -> Quart:
    app, sub = Quart(__name__), Quart(__name__)

    @app.get("/items/<int:id>")
    async def item(id: int) -> str:  # noqa: A002
        with recorder.begin("work"):
            await asyncio.sleep(0)
            return f"item {id}"

    @app.post("/items")
    async def create() -> Response:
        return Response(status=201)

    @app.get("/boom")
    async def boom() -> None:
        raise ZeroDivisionError("the application's own")

    @app.get("/status/<int:code>")
    async def status(code: int) -> Response:
        return Response(status=code)

    @app.get("/stream")
    async def stream() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(3):
                with recorder.begin("chunk"):
                    yield str(number).encode()

        return Response(chunks())

    @app.get("/broken-stream")
    async def broken() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x"
            raise ZeroDivisionError

        return Response(chunks())

    @app.get("/later")
    async def later() -> str:
        leave_behind()
        return ""

    @app.get("/wait")
    async def waiting() -> str:
        await wait()
        return ""

    @app.get("/plain/<name>")
    def plain(name: str) -> str:  # runs in a thread
        recorder.begin("in a thread").end()
        return name

    @app.websocket("/talk/<room>")
    async def talk(room: str) -> None:
        while (text := await websocket.receive()) == "ping":
            with recorder.begin("talk"):
                await websocket.send("pong")
        if text == "boom":
            raise ZeroDivisionError
        await websocket.close(1011 if text == "bad" else 1000)

    @sub.get("/things/<name>")
    async def thing(name: str) -> str:
        return name

    app.asgi_app = BrokenMiddleware(Mounted(app.asgi_app, sub))  # type: ignore[method-assign]
    return app


class Mounted:
    def __init__(self, app: Any, sub: Quart) -> None:
        self.app = app
        self.sub = sub

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path", "").startswith("/sub/"):
            await self.sub({**scope, "root_path": scope["root_path"] + "/sub"}, receive, send)
        else:
            await self.app(scope, receive, send)


class TestQuart(AsyncServerContract):
    library = "quart"

    def serve(self) -> Any:
        return serve_asgi(application(), ws="wsproto")

    def originals(self) -> list[Any]:
        names = ("__call__", "full_dispatch_request", "full_dispatch_websocket", "handle_exception")
        return [vars(Application)[name] for name in names]

    def test_plain_functions_run_below_the_request(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/plain/x")[1] == b"x"
        work, request = spans.take(2)
        assert (request.operation, work.parent_id) == ("GET /plain/{name}", request.id)

    def test_root_path_is_in_front(self, spans: Spans) -> None:
        with serve_asgi(application(), root_path="/api") as port, closing(Client(port)) as ask:
            assert ask("GET", "/status/204")[0] == 204
        assert spans.one().operation == "GET /api/status/{code}"
