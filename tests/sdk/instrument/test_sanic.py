from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sanic import Blueprint, HTTPResponse, Request, Sanic, text
from sanic.exceptions import NotFound, ServiceUnavailable
from sanic.handlers import ErrorHandler
from sanic.response import BaseHTTPResponse

import batch_sink
from contracts.async_server import AsyncServerContract, leave_behind, wait
from contracts.http_server import TRACE, Client
from contracts.patched import PatchedContract
from contracts.serve_asgi import serve_asgi
from contracts.websocket_client import WebSocketClient
from fluoro.recorder import recorder
from fluoro.run import BOOTSTRAP
from fluoro.testing import Spans
from servers.process import accepts, free_port, running

SDK = BOOTSTRAP.parents[1]


def application() -> Sanic[Any, Any]:
    app: Any = Sanic(f"test-{uuid4().hex}", configure_logging=False)
    sub = Blueprint("sub", url_prefix="/sub")

    @app.get("/items/<id:int>")
    async def item(request: Request, id: int) -> HTTPResponse:  # noqa: A002
        with recorder.begin("work"):
            await asyncio.sleep(0)
            return text(f"item {id}")

    @app.post("/items")
    async def create(request: Request) -> HTTPResponse:
        return text("", status=201)

    @app.get("/boom")
    async def boom(request: Request) -> None:
        raise ZeroDivisionError("the application's own")

    @app.get("/status/<code:int>")
    async def status(request: Request, code: int) -> HTTPResponse:
        return text("", status=code)

    @app.get("/stream")
    async def stream(request: Request) -> None:
        response = await request.respond()
        for number in range(3):
            with recorder.begin("chunk"):
                await response.send(str(number))
        await response.eof()

    @app.get("/broken-stream")
    async def broken(request: Request) -> None:
        response = await request.respond()
        await response.send("x")
        raise ZeroDivisionError

    @app.get("/later")
    async def later(request: Request) -> HTTPResponse:
        leave_behind()
        return text("")

    @app.get("/wait")
    async def waiting(request: Request) -> HTTPResponse:
        await wait()
        return text("")

    @app.get("/unavailable")
    async def unavailable(request: Request) -> None:
        raise ServiceUnavailable("busy")

    @app.get("/key")
    async def key(request: Request) -> None:
        raise KeyError("a")

    @app.get("/value")
    async def value(request: Request) -> None:
        raise ValueError("b")

    @app.get(r"/files/<name:(?P<name>[a-z]+\.txt)>")
    async def files(request: Request, name: str) -> HTTPResponse:
        return text(name)

    again = text("again")

    @app.get("/again")
    async def same_answer(request: Request) -> HTTPResponse:
        return again

    @app.websocket("/talk/<room>")
    async def talk(request: Request, ws: Any, room: str) -> None:
        while (message := await ws.recv()) == "ping":
            with recorder.begin("talk"):
                await ws.send("pong")
        if message == "boom":
            raise ZeroDivisionError
        if message == "bad":
            await ws.close(1011)

    @app.on_request
    async def broken_middleware(request: Request) -> None:
        if "x-broken" in request.headers:
            raise ZeroDivisionError

    @app.exception(KeyError)
    async def on_key(request: Request, error: Exception) -> HTTPResponse:
        return text("", status=500)

    @app.exception(ValueError)
    async def on_value(request: Request, error: Exception) -> HTTPResponse:
        return text("", status=400)

    @sub.get("/things/<name>")
    async def thing(request: Request, name: str) -> HTTPResponse:
        return text(name)

    @sub.exception(NotFound)
    async def nothing(request: Request, error: Exception) -> HTTPResponse:
        return text("", status=404)

    app.blueprint(sub)
    return app  # type: ignore[no-any-return]


@contextmanager
def serve(app: Any) -> Iterator[int]:
    """Sanic's own server in a thread."""
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    async def run() -> None:
        server = await app.create_server(sock=listening, return_asyncio_server=True, access_log=False)
        await server.startup()
        await server.start_serving()
        ready.set()
        await stop.wait()
        server.close()
        await server.wait_closed()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield listening.getsockname()[1]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


class TestSanic(AsyncServerContract):
    library = "sanic"

    @pytest.fixture(autouse=True)
    def _several_in_one_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Sanic, "test_mode", True)

    def serve(self) -> Any:
        return serve(application())

    def originals(self) -> list[Any]:
        return [
            *(vars(Sanic)[name] for name in ("__call__", "handle_request", "handle_exception")),
            vars(ErrorHandler)["log"],
            vars(BaseHTTPResponse)["send"],
        ]

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

    def test_nothing_is_current_between_the_requests_of_a_connection(self, spans: Spans) -> None:
        app, seen = application(), []

        @app.signal("http.lifecycle.read_head")
        async def between(head: bytes) -> None:
            seen.append((head[:12], recorder.current()))

        with serve(app) as port, closing(Client(port)) as ask:
            for _ in range(3):
                ask("POST", "/items")
        assert seen == [(b"POST /items ", None)] * 3
        spans.take(3)

    def test_a_parameter_with_a_regular_expression(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/files/a.txt")[1] == b"a.txt"
        assert spans.one().operation == "GET /files/{name}"

    def test_an_answer_that_is_sent_twice_does_not_keep_the_decision(self, ask: Client, spans: Spans) -> None:
        assert "x-amzn-trace-id" in ask("GET", "/again", X_Amzn_Trace_Id=f"Root={TRACE};Sampled=?")[2]
        status, _, headers = ask("GET", "/again")
        assert (status, "x-amzn-trace-id" in headers) == (200, False)
        spans.take(2)


class TestSanicBehindAnAsgiServer(PatchedContract):
    """What differs there. Websockets can neither be refused nor closed with a code of their own."""

    library = "sanic"

    @pytest.fixture(autouse=True)
    def _several_in_one_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Sanic, "test_mode", True)

    def originals(self) -> list[Any]:
        return [vars(Sanic)["__call__"]]

    @pytest.fixture
    def port(self, spans: Spans) -> Iterator[int]:  # noqa: ARG002  the server stops before the capture ends
        with serve_asgi(application(), ws="wsproto") as port:
            yield port

    def test_requests_are_recorded_once(self, port: int, spans: Spans) -> None:
        with closing(Client(port)) as ask:
            assert [ask("GET", path)[0] for path in ("/items/7", "/boom", "/nothing")] == [200, 500, 404]
            _, _, headers = ask("POST", "/items", X_Amzn_Trace_Id=f"Root={TRACE};Sampled=?")
        assert headers["x-amzn-trace-id"] == f"Root={TRACE};Sampled=1"
        work, item, boom, nothing, created = spans.take(5)
        assert work.parent_id == item.id
        assert [segment.operation for segment in (item, boom, nothing, created)] == [
            "GET /items/{id}", "GET /boom", "GET unmatched", "POST /items",
        ]  # fmt: skip
        assert boom.cause is not None
        assert boom.cause.exceptions[0].type == "ZeroDivisionError"

    def test_a_websocket(self, port: int, spans: Spans) -> None:
        with WebSocketClient(port, "/talk/7") as client:
            client.send("ping")
            assert client.receive() == "pong"
            client.send("boom")
            client.receive()
        talk, connection = spans.take(2)
        assert (connection.operation, connection.fault, talk.parent_id) == ("WS /talk/{room}", True, connection.id)


def test_workers_and_the_response_timeout(tmp_path: Path) -> None:
    """Sanic's own command, which serves from processes that it spawns."""
    port = free_port()
    (tmp_path / "served.py").write_text(PROGRAM)
    command = ["fluoro", "run", "--service", "served", "sanic", "served:app", "--port", str(port), "--workers", "2"]
    with batch_sink.running_sink() as sink:
        env = {"PYTHONPATH": f"{SDK}{os.pathsep}{tmp_path}", "FLUORO_ENDPOINT": sink.url}
        scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with running(
            [sys.executable, "-m", *command], lambda: accepts(port), log=tmp_path / "log", cwd=tmp_path,
            env={**env, "PATH": scripts},
        ), closing(Client(port)) as ask:  # fmt: skip
            assert ask("GET", "/items/7")[0] == 200
            assert ask("GET", "/slow")[0] == 503
        item, slow = sorted(sink.segments, key=lambda segment: segment.start)
    assert (item.name, item.operation) == ("served", "GET /items/{id}")
    assert (slow.operation, slow.fault, slow.cause is not None) == ("GET /slow", True, True)
    assert slow.http is not None
    assert slow.http.status == 503


PROGRAM = """
import asyncio
from sanic import Sanic, text
app = Sanic("served")
app.config.RESPONSE_TIMEOUT = 0.3

@app.get("/items/<id:int>")
async def item(request, id):
    return text("")

@app.get("/slow")
async def slow(request):
    await asyncio.sleep(60)
"""
