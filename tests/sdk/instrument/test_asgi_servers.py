from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import Any

import pytest
import uvicorn
from asgiref.wsgi import WsgiToAsgi
from fastapi import FastAPI
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import fluoro
from contracts.http_server import Client
from contracts.patched import PatchedContract
from contracts.serve_asgi import serve_asgi
from fluoro import instrument
from fluoro.recorder import recorder
from fluoro.testing import Spans
from servers.process import accepts, free_port


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """An application that is made with no framework."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/boom":
        raise ZeroDivisionError
    with recorder.begin("work"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def hello(request: Any) -> PlainTextResponse:
    return PlainTextResponse("hello")


class Middleware:
    """Answers some requests itself."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/teapot"):
            await send({"type": "http.response.start", "status": 418, "headers": []})
            await send({"type": "http.response.body"})
        else:
            await self.app(scope, receive, send)


@contextmanager
def serve_hypercorn(app: Any) -> Iterator[int]:
    port = free_port()
    config = HypercornConfig()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "CRITICAL"
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    serving = hypercorn_serve(app, config, shutdown_trigger=stop.wait, mode="asgi")
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
    thread.start()
    while not accepts(port):
        assert thread.is_alive()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


Serve = Callable[[Any], AbstractContextManager[int]]


@pytest.mark.parametrize("serve", [serve_asgi, serve_hypercorn])
class TestServers(PatchedContract):
    library = "asgi"

    def originals(self) -> list[Any]:
        return [vars(uvicorn.Config)["load"], vars(ASGIWrapper)["__call__"]]

    def test_any_application_is_traced(self, serve: Serve, spans: Spans) -> None:
        with serve(bare) as port, closing(Client(port)) as ask:
            assert ask("GET", "/orders/7")[1] == b"/orders/7"
            assert ask("GET", "/boom")[0] == 500
        work, request, boom = spans.take(3)
        assert (request.operation, work.parent_id) == ("GET unmatched", request.id)
        assert request.http is not None
        assert request.http.client_ip == "127.0.0.1"
        assert boom.cause is not None
        assert boom.cause.exceptions[0].type == "ZeroDivisionError"


class TestWithFrameworks:
    """The server's entry begins the segment, the framework writes the route."""

    @pytest.fixture
    def install(self) -> Iterator[Callable[..., None]]:
        def install(*disabled: str) -> None:
            rows = [row for row in instrument.TABLE if row.name in ("asgi", "starlette", "fastapi")]
            instrument.install(disabled, lambda: True, rows)

        yield install
        instrument.uninstall()

    @pytest.mark.parametrize("serve", [serve_asgi, serve_hypercorn])
    def test_middleware_around_a_framework(self, serve: Serve, install: Callable[..., None], spans: Spans) -> None:
        install()
        app = Middleware(Starlette(routes=[Mount("/shops/{shop}", routes=[Route("/hello/{name}", hello)])]))
        with serve(app) as port, closing(Client(port)) as ask:
            assert ask("GET", "/shops/berlin/hello/x")[0] == 200
            assert ask("GET", "/teapot/7")[0] == 418
        hello_, teapot = spans.take(2)
        assert (hello_.operation, teapot.operation) == ("GET /shops/{shop}/hello/{name}", "GET unmatched")

    @pytest.mark.parametrize("serve", [serve_asgi, serve_hypercorn])
    @pytest.mark.parametrize("off", ["starlette", "fastapi"])
    def test_a_framework_that_is_disabled(
        self, serve: Serve, off: str, install: Callable[..., None], spans: Spans
    ) -> None:
        install(off)
        fast = FastAPI(routes=[Route("/hello/{name}", hello)])
        for app in (Starlette(routes=[Route("/hello/{name}", hello)]), fast):
            with serve(app) as port, closing(Client(port)) as ask:
                assert ask("GET", "/hello/x")[0] == 200
            recorded = (app is fast) == (off == "starlette")
            assert [segment.operation for segment in spans.take()] == ["GET /hello/{name}"] * recorded

    def test_the_proxys_word_on_client_and_scheme(self, install: Callable[..., None], spans: Spans) -> None:
        install()
        with serve_asgi(bare, proxy_headers=True) as port, closing(Client(port)) as ask:
            ask("GET", "/", X_Forwarded_Proto="https", X_Forwarded_For="203.0.113.9")
        http_ = spans.one(lambda segment: not segment.subsegment).http
        assert http_ is not None
        assert (http_.url.partition(":")[0], http_.client_ip) == ("https", "203.0.113.9")
        spans.one()

    @pytest.mark.filterwarnings("ignore:Uvicorn's native WSGI:DeprecationWarning")
    def test_wsgi_applications_are_left_to_their_own(self, install: Callable[..., None], spans: Spans) -> None:
        def wsgi(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            return [b""]

        install()
        with serve_asgi(wsgi, interface="wsgi") as port, closing(Client(port)) as ask:
            assert ask("GET", "/")[0] == 200
        with serve_asgi(WsgiToAsgi(wsgi)) as port, closing(Client(port)) as ask:
            assert ask("GET", "/")[0] == 200
        assert spans.take() == []


class TestWrapper:
    """`fluoro.asgi`, with nothing patched."""

    def test_serves_in_a_segment(self, spans: Spans) -> None:
        app = fluoro.asgi(bare)
        assert iscoroutinefunction(app)
        with serve_asgi(app) as port, closing(Client(port)) as ask:
            assert ask("GET", "/orders/7")[1] == b"/orders/7"
        work, request = spans.take(2)
        assert (request.operation, work.parent_id) == ("GET unmatched", request.id)

    def test_one_segment_however_often(self, spans: Spans) -> None:
        with serve_asgi(fluoro.asgi(fluoro.asgi(bare))) as port, closing(Client(port)) as ask:
            ask("GET", "/")
        assert [segment.subsegment for segment in spans.take(2)] == [True, False]

    def test_passes_through_while_tracing_is_off(self) -> None:
        assert recorder.sink is None
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append((scope, receive, send))

        arguments: tuple[Any, ...] = ({"type": "http", "headers": []}, object(), object())
        asyncio.run(fluoro.asgi(app)(*arguments))
        assert seen == [arguments]
        assert list(arguments[0]) == ["type", "headers"]


@pytest.mark.parametrize(
    "module",
    [  # with the oldest servers not every framework is there
        name
        for name in [
            "aiohttp.web",
            "fastapi",
            "hypercorn",
            "litestar",
            "quart",
            "sanic",
            "starlette",
            "tornado.web",
            "uvicorn",
        ]
        if find_spec(name.partition(".")[0])
    ],
)
def test_patched_while_the_application_imports_it(module: str) -> None:
    """A package is half loaded then, so a patch may import its finished parts only."""
    program = (
        f"import fluoro; fluoro.install(); import {module}; from fluoro.instrument import register; print(register)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(ast.literal_eval(done.stdout).values()) <= {"patched", "fluoro traces it itself"}
