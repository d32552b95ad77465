from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.routing import HostMatches, PathMatches, Rule, RuleRouter
from tornado.web import Application, Finish, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler, WebSocketProtocol

from contracts.async_server import AsyncServerContract, leave_behind, wait
from contracts.http_server import Client
from contracts.websocket_client import WebSocketClient
from fluoro.recorder import recorder
from fluoro.testing import Spans


class Handler(RequestHandler):
    def prepare(self) -> None:
        if "X-Broken" in self.request.headers:
            raise ZeroDivisionError


class Item(Handler):
    async def get(self, id: str) -> None:  # noqa: A002
        with recorder.begin("work"):
            await asyncio.sleep(0)
            self.write(f"item {id}")


class Items(Handler):
    def post(self) -> None:
        self.set_status(201)


class Boom(Handler):
    def get(self) -> None:
        boom()


def boom() -> None:
    raise ZeroDivisionError("the application's own")


class Status(Handler):
    async def get(self, code: str) -> None:
        self.set_status(int(code))


class Stream(Handler):
    async def get(self) -> None:
        for number in range(3):
            with recorder.begin("chunk"):
                self.write(str(number))
            await self.flush()


class BrokenStream(Handler):
    async def get(self) -> None:
        self.write("x")
        await self.flush()
        raise ZeroDivisionError


class Later(Handler):
    def get(self) -> None:
        leave_behind()


class Wait(Handler):
    async def get(self) -> None:
        await wait()


class Thing(Handler):
    def get(self, name: str) -> None:
        self.write(name)


class Raised(Handler):
    def get(self, what: str) -> None:
        raise Finish if what == "finish" else HTTPError(503)


class CalledBack(Handler):
    """Answers after its method has returned."""

    def get(self) -> None:
        self._auto_finish = False
        asyncio.get_running_loop().call_soon(self.finish, "called back")


class Never(Handler):
    """Would answer some day."""

    arrived = threading.Event()

    def get(self) -> None:
        self._auto_finish = False
        self.arrived.set()


class Caught(Handler):
    """Makes an answer of its own of what was raised."""

    def get(self) -> None:
        boom()

    def write_error(self, *_: Any, **__: Any) -> None:
        self.set_status(418)
        self.finish()


class BrokenCall(Handler):
    """A connection was closed, but not the client's."""

    def get(self) -> None:
        raise StreamClosedError


class Talk(WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        if message == "boom":
            raise ZeroDivisionError
        if message == "bad":
            self.close(1011)
        elif message != "ping":
            self.close()
        else:
            with recorder.begin("talk"):
                await self.write_message("pong")


class TalkSync(WebSocketHandler):
    def open(self, *_: str, **__: str) -> None:
        if "open" in self.request.path:
            raise ZeroDivisionError

    def on_message(self, _: str | bytes) -> None:
        raise ZeroDivisionError

    def log_exception(self, *_: Any) -> None:
        """As applications may replace it."""


def application() -> Application:
    rules: list[Any] = [
        (r"/items/(?P<id>\d+)", Item), (r"/items", Items), (r"/boom", Boom), (r"/status/(?P<code>\d+)", Status),
        (r"/stream", Stream), (r"/broken-stream", BrokenStream), (r"/later", Later), (r"/wait", Wait),
        (r"/raised/(\w+)", Raised), (r"/called-back", CalledBack), (r"/never", Never), (r"/caught", Caught),
        (r"/broken-call", BrokenCall), (r"/talk/(?P<room>\w+)", Talk), (r"/talk-sync/.*", TalkSync),
        (r"/twice/(\d+)", Thing), (r"/twice/([a-z]+)/more", Thing),
        (r"/sub/.*", [(r"/sub/things/(?P<name>[^/]+)", Thing)]),
    ]  # fmt: skip
    return Application(rules, log_function=lambda _: None)


@contextmanager
def serve(app: Any) -> Iterator[int]:
    """Tornado's own server in a thread."""
    (listening,) = bind_sockets(0, "127.0.0.1")
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        server = HTTPServer(app)
        server.add_socket(listening)
        ready.set()
        await stop.wait()
        server.stop()
        await server.close_all_connections()
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


class TestTornado(AsyncServerContract):
    library = "tornado"

    def serve(self) -> Any:
        return serve(application())

    def originals(self) -> list[Any]:
        return [
            *(vars(RequestHandler)[name] for name in ("_execute", "_handle_request_exception", "flush", "_log")),
            vars(RuleRouter)["get_target_delegate"],
            vars(WebSocketProtocol)["_abort"],
            vars(WebSocketHandler)["close"],
        ]

    @pytest.mark.parametrize(("what", "status"), [("finish", 200), ("error", 503)])
    def test_an_answer_that_is_raised(self, ask: Client, spans: Spans, what: str, status: int) -> None:
        assert ask("GET", f"/raised/{what}")[0] == status
        request = spans.one()
        assert (request.operation, request.fault, request.cause) == ("GET /raised/{var}", status == 503, None)

    def test_an_exception_that_became_another_answer_is_no_fault(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/caught")[0] == 418
        request = spans.one()
        assert (request.error, request.fault, request.cause) == (True, False, None)

    def test_a_closed_connection_of_the_applications_own_is_a_fault(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/broken-call")[0] == 500
        cause = spans.one().cause
        assert cause is not None
        assert cause.exceptions[0].type == "tornado.iostream.StreamClosedError"

    def test_an_answer_by_callback(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/called-back")[1] == b"called back"
        assert ask("GET", "/items/1")[1] == b"item 1"
        called_back, item, _ = asked = sorted(spans.take(3), key=lambda segment: segment.start)
        assert [segment.operation for segment in asked[:2]] == ["GET /called-back", "GET /items/{id}"]
        assert called_back.trace_id != item.trace_id

    def test_an_answer_nobody_waits_for(self, port: int, spans: Spans) -> None:
        Never.arrived.clear()
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
            assert Never.arrived.wait(10)
        request = spans.one()
        assert (request.operation, request.fault) == ("GET /never", False)

    def test_one_handler_of_two_rules(self, ask: Client, spans: Spans) -> None:
        ask("GET", "/twice/7")
        ask("GET", "/twice/seven/more")
        assert [request.operation for request in spans.take(2)] == ["GET /twice/{var}", "GET /twice/{var}/more"]

    def test_routers_in_front_of_applications(self, spans: Spans) -> None:
        router = RuleRouter(
            [
                Rule(HostMatches("nobody"), application()),
                Rule(PathMatches("/twice.*"), Application([(r"/twice/(?P<name>\w+)", Thing)])),
                Rule(PathMatches("/.*"), application()),
            ]
        )
        with serve(router) as port, closing(Client(port)) as ask:
            assert ask("GET", "/twice/x")[0] == ask("GET", "/items/1")[0] == 200
        operations = [segment.operation for segment in spans.take(3) if not segment.subsegment]
        assert operations == ["GET /twice/{name}", "GET /items/{id}"]

    @pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    def test_an_exception_in_a_websocket_is_its_cause(self, port: int, spans: Spans) -> None:
        """Old versions leave the connection as it is, so there is nothing to receive."""
        with WebSocketClient(port, "/talk/7") as client:
            client.send("boom")
            connection = spans.one()
        gc.collect()
        assert (connection.operation, connection.fault) == ("WS /talk/{room}", True)
        assert connection.cause is not None
        assert connection.cause.exceptions[0].type == "ZeroDivisionError"

    @pytest.mark.parametrize("path", ["/talk-sync/message", "/talk-sync/open"])
    def test_what_a_plain_websocket_handler_raises(self, port: int, spans: Spans, path: str) -> None:
        with WebSocketClient(port, path) as client:
            if path.endswith("message"):
                client.send("x")
            assert client.receive() is None
        connection = spans.one()
        assert (connection.operation, connection.fault) == ("WS /talk-sync/{var}", True)
        assert connection.cause is not None
        assert connection.cause.exceptions[0].type == "ZeroDivisionError"
