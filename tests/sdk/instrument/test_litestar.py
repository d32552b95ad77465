from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import pytest
from litestar import Litestar, Request, Response, Router, WebSocket, asgi, get, post, websocket
from litestar.exceptions import ServiceUnavailableException, WebSocketDisconnect
from litestar.response import Stream

from contracts.async_server import AsyncServerContract, leave_behind, wait
from contracts.broken_middleware import BrokenMiddleware
from contracts.http_server import Client
from contracts.serve_asgi import serve_asgi
from fluoro.recorder import recorder
from fluoro.testing import Spans

LITESTAR = tuple(int(part) for part in version("litestar").split(".")[:2])
COPY_SCOPE: dict[str, Any] = {"copy_scope": True} if LITESTAR >= (2, 16) else {}
AnyRequest = Request[Any, Any, Any]


@get("/items/{id:int}", media_type="text/plain")
async def item(request: AnyRequest) -> str:  # parameters of its own are declared differently in old and new versions
    with recorder.begin("work"):
        await asyncio.sleep(0)
        return f"item {request.path_params['id']}"


@post("/items")
async def create() -> None:
    return None


@get("/boom")
async def boom() -> None:
    raise ZeroDivisionError("the application's own")


@get("/status/{code:int}")
async def status(request: AnyRequest) -> Response[None]:
    return Response(None, status_code=request.path_params["code"])


@get("/stream")
async def stream() -> Stream:
    async def chunks() -> AsyncIterator[str]:
        for number in range(3):
            with recorder.begin("chunk"):
                yield str(number)

    return Stream(chunks())


@get("/broken-stream")
async def broken_stream() -> Stream:
    async def chunks() -> AsyncIterator[str]:
        yield "x"
        raise ZeroDivisionError

    return Stream(chunks())


@get("/later")
async def later() -> None:
    leave_behind()


@get("/wait")
async def waiting() -> None:
    await wait()


@get("/things/{name:str}", media_type="text/plain")
async def thing(request: AnyRequest) -> str:
    return str(request.path_params["name"])


@get("/unavailable")
async def unavailable() -> None:
    raise ServiceUnavailableException


@get("/key")
async def key() -> None:
    raise KeyError("a")


@get("/value")
async def value() -> None:
    raise BlockingIOError("b")


@websocket("/talk/{room:str}")
async def talk(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    while True:
        try:
            text = await socket.receive_text()
        except WebSocketDisconnect:
            return
        if text == "boom":
            raise ZeroDivisionError
        if text != "ping":
            break
        with recorder.begin("talk"):
            await socket.send_text("pong")
    await socket.close(code=1011 if text == "bad" else 1000)


def answer(code: int) -> Any:
    def handler(request: AnyRequest, error: Exception) -> Response[str]:
        return Response(str(error), status_code=code)

    return handler


def application() -> Litestar:
    sub = Litestar([thing])
    handlers = [
        item, create, boom, status, stream, broken_stream, later, waiting, unavailable, key, value, talk,
        asgi("/sub", is_mount=True, **COPY_SCOPE)(sub), Router("/shops/{shop:str}", route_handlers=[thing]),
    ]  # fmt: skip
    return Litestar(
        handlers,
        middleware=[BrokenMiddleware],
        exception_handlers={KeyError: answer(500), BlockingIOError: answer(400)},
        openapi_config=None,
        logging_config=None,
    )


class TestLitestar(AsyncServerContract):
    library = "litestar"
    internal_error = (4500,)

    def serve(self) -> Any:
        return serve_asgi(application(), ws="wsproto")

    def originals(self) -> list[Any]:
        return [vars(Litestar)[name] for name in ("__init__", "__call__")]

    def test_routers_are_in_the_template(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/shops/berlin/things/x")[1] == b"x"
        assert spans.one().operation == "GET /shops/{shop}/things/{name}"

    @pytest.mark.parametrize(
        ("path", "status", "cause"),
        [("/unavailable", 503, None), ("/key", 500, "KeyError"), ("/value", 400, None)],
    )
    def test_what_the_application_turns_into_an_answer(
        self, ask: Client, spans: Spans, path: str, status: int, cause: str | None
    ) -> None:
        assert ask("GET", path)[0] == status
        request = spans.one()
        assert (request.operation, request.fault) == (f"GET {path}", status >= 500)
        assert (request.cause and request.cause.exceptions[0].type) == cause
