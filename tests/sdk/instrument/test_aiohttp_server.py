from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.web_protocol import RequestHandler

from contracts.async_server import AsyncServerContract, leave_behind, wait
from contracts.http_server import TRACE, Client
from fluoro.recorder import recorder
from fluoro.testing import Spans


async def item(request: web.Request) -> web.Response:
    with recorder.begin("work"):
        await asyncio.sleep(0)
        return web.Response(text=f"item {request.match_info['id']}")


async def create(request: web.Request) -> web.Response:
    raise web.HTTPCreated


async def boom(request: web.Request) -> web.Response:
    raise ZeroDivisionError("the application's own")


async def status(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["code"]))


async def unavailable(request: web.Request) -> web.Response:
    raise web.HTTPServiceUnavailable


async def too_slow(request: web.Request) -> web.Response:
    raise asyncio.TimeoutError


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(3):
        with recorder.begin("chunk"):
            await response.write(str(number).encode())
    return response


async def broken_stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"x")
    raise ZeroDivisionError


async def later(request: web.Request) -> web.Response:
    leave_behind()
    return web.Response()


async def waiting(request: web.Request) -> web.Response:
    await wait()
    return web.Response()


async def thing(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["name"])


async def talk(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        if message.type is not WSMsgType.TEXT:
            break
        if message.data == "boom":
            raise ZeroDivisionError
        if message.data == "bad":
            await websocket.close(code=1011)
        elif message.data != "ping":
            break
        else:
            with recorder.begin("talk"):
                await websocket.send_str("pong")
    return websocket


@web.middleware
async def breaking(request: web.Request, handler: Any) -> web.StreamResponse:
    if "X-Broken" in request.headers:
        raise ZeroDivisionError
    return await handler(request)  # type: ignore[no-any-return]


def application() -> web.Application:
    app = web.Application(middlewares=[breaking])
    routes = {
        "/items/{id:\\d+}": item, "/boom": boom, "/status/{code}": status, "/stream": stream, "/later": later,
        "/broken-stream": broken_stream, "/wait": waiting, "/talk/{room}": talk,
        "/unavailable": unavailable, "/too-slow": too_slow,
    }  # fmt: skip
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    app.add_routes([web.post("/items", create)])
    sub = web.Application()
    sub.add_routes([web.get("/things/{name}", thing)])
    app.add_subapp("/sub", sub)
    return app


@contextmanager
def serve(app: web.Application) -> Iterator[int]:
    """aiohttp's own server in a thread."""
    loop = asyncio.new_event_loop()
    started: list[int] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        started.append(runner.addresses[0][1])
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


class TestAiohttp(AsyncServerContract):
    library = "aiohttp"
    unknown_method = "PROPFIND"

    def serve(self) -> Any:
        return serve(application())

    def originals(self) -> list[Any]:
        return [
            *(vars(RequestHandler)[name] for name in ("_handle_request", "handle_error")),
            vars(web.StreamResponse)["prepare"],
            vars(web.WebSocketResponse)["close"],
        ]

    @pytest.mark.parametrize(("path", "status", "cause"), [("/unavailable", 503, False), ("/too-slow", 504, True)])
    def test_an_answer_that_is_raised(self, ask: Client, spans: Spans, path: str, status: int, cause: bool) -> None:
        assert ask("GET", path)[0] == status
        request = spans.one()
        assert (request.operation, request.fault) == (f"GET {path}", True)
        assert (request.cause is not None) == cause

    def test_the_decision_stands_on_a_raised_answer(self, ask: Client, spans: Spans) -> None:
        _, _, headers = ask("GET", "/unavailable", X_Amzn_Trace_Id=f"Root={TRACE};Sampled=?")
        assert headers["x-amzn-trace-id"] == f"Root={TRACE};Sampled=1"
        spans.one()

    def test_what_is_no_request_is_not_recorded(self, ask: Client, spans: Spans) -> None:
        ask.connection.connect()
        ask.connection.sock.sendall(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        ask.connection.sock.recv(4096)
        ask.close()
        ask("POST", "/items")
        assert spans.one().operation == "POST /items"
