"""What a web framework on asyncio must do beside `http_server`. The application serves these routes too:

GET /later       calls `leave_behind()` and answers
GET /wait        awaits `wait()`
WS  /talk/{room} answers "ping" by "pong" from a span "talk"; to "bad" it closes with 1011, at "boom" it raises
                 ZeroDivisionError; any other text ends the handler

Its middleware raises ZeroDivisionError for requests with the header X-Broken.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time

from contracts.http_server import PARENT, TRACE, Client, HttpServerContract
from contracts.websocket_client import WebSocketClient
from fluoro.recorder import recorder
from fluoro.testing import Spans

_arrived = threading.Event()
_release = threading.Event()
_tasks: set[asyncio.Task[None]] = set()


async def wait() -> None:
    """Says that it was reached; returns when it is told to."""
    _arrived.set()
    deadline = time.monotonic() + 10
    while not _release.is_set() and time.monotonic() < deadline:  # noqa: ASYNC110  set by another thread
        await asyncio.sleep(0.002)


def leave_behind() -> None:
    """Starts a task that outlives the request: it begins a span "background" once the answer is there."""

    async def background() -> None:
        await wait()
        recorder.begin("background").end()

    _release.clear()
    task = asyncio.get_running_loop().create_task(background())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


class AsyncServerContract(HttpServerContract):
    """Subclass and fill in, as for `HttpServerContract`."""

    # What the client of a websocket sees when the handler raised; what it gets is the framework's business.
    internal_error: tuple[int | None, ...] = (1011, 1006, 1000, None)

    def test_pipelined_requests_do_not_mix(self, port: int, spans: Spans) -> None:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            host = f"Host: 127.0.0.1:{port}\r\n"
            connection.sendall(
                f"GET /items/1 HTTP/1.1\r\n{host}\r\n"
                f"GET /items/2 HTTP/1.1\r\n{host}X-Amzn-Trace-Id: Root={TRACE};Parent={PARENT};Sampled=1\r\n\r\n"
                f"GET /items/3 HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode()
            )
            answers = b""
            while more := connection.recv(4096):
                answers += more
        assert [f"item {number}".encode() in answers for number in (1, 2, 3)] == [True] * 3
        finished = spans.take(6)
        requests = [segment for segment in finished if not segment.subsegment]
        assert sorted(request.parent_id for request in requests) == [0, 0, 0xAA]
        assert len({request.trace_id for request in requests}) == 3
        assert {segment.parent_id for segment in finished if segment.subsegment} == {request.id for request in requests}

    def test_what_is_left_behind_belongs_to_the_request(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/later")[0] == 200
        _release.set()
        request, later = sorted(spans.take(2), key=lambda segment: segment.subsegment)
        assert (request.operation, later.name, later.parent_id) == ("GET /later", "background", request.id)
        assert later.trace_id == request.trace_id

    def test_a_client_that_goes_away_is_no_fault(self, port: int, spans: Spans) -> None:
        _arrived.clear()
        _release.clear()
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(f"GET /wait HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert _arrived.wait(10)
        _release.set()
        request = spans.one()
        assert (request.operation, request.fault, request.cause) == ("GET /wait", False, None)

    def test_a_middleware_that_raises_is_a_fault(self, ask: Client, spans: Spans) -> None:
        assert ask("POST", "/items", X_Broken="1")[0] == 500
        request = spans.one()
        assert request.operation in ("POST /items", "POST unmatched")
        assert request.fault
        assert request.cause is not None
        assert "ZeroDivisionError" in [record.type for record in request.cause.exceptions[:2]]

    def test_a_websocket_is_one_segment_until_it_is_closed(self, port: int, spans: Spans) -> None:
        header = f"Root={TRACE};Parent={PARENT};Sampled=1"
        with WebSocketClient(port, "/talk/7?token=secret", X_Amzn_Trace_Id=header) as client:
            assert client.status == 101
            client.send("ping")
            assert client.receive() == "pong"
            talk = spans.one()
            client.close()
        connection = spans.one()
        assert (connection.operation, connection.parent_id) == ("WS /talk/{room}", 0xAA)
        assert (talk.name, talk.parent_id) == ("talk", connection.id)
        assert (connection.fault, connection.error, connection.cause) == (False, False, None)
        assert connection.http is not None
        assert (connection.http.status, connection.http.client_ip) == (101, "127.0.0.1")
        assert "secret" not in connection.http.url
        assert connection.end > talk.end

    def test_a_websocket_whose_client_vanishes_is_no_fault(self, port: int, spans: Spans) -> None:
        with WebSocketClient(port, "/talk/7") as client:
            client.send("ping")
            assert client.receive() == "pong"
        talk, connection = spans.take(2)
        assert (talk.name, connection.operation) == ("talk", "WS /talk/{room}")
        assert (connection.fault, connection.cause) == (False, None)

    def test_a_websocket_that_its_handler_ends(self, port: int, spans: Spans) -> None:
        with WebSocketClient(port, "/talk/7") as client:
            client.send("bye")
            assert client.receive() in (1000, 1005)
        connection = spans.one()
        assert (connection.operation, connection.fault, connection.error) == ("WS /talk/{room}", False, False)

    def test_a_websocket_closed_for_an_internal_error_is_a_fault(self, port: int, spans: Spans) -> None:
        with WebSocketClient(port, "/talk/7") as client:
            client.send("bad")
            assert client.receive() == 1011
        connection = spans.one()
        assert (connection.operation, connection.fault, connection.cause) == ("WS /talk/{room}", True, None)

    def test_an_exception_in_a_websocket_is_its_cause(self, port: int, spans: Spans) -> None:
        with WebSocketClient(port, "/talk/7") as client:
            client.send("boom")
            assert client.receive() in self.internal_error
        connection = spans.one()
        assert (connection.operation, connection.fault) == ("WS /talk/{room}", True)
        assert connection.cause is not None
        assert "ZeroDivisionError" in [record.type for record in connection.cause.exceptions]

    def test_an_unknown_websocket_is_refused(self, port: int, spans: Spans) -> None:
        with WebSocketClient(port, "/nobody/7") as client:
            assert client.status in (403, 404)
        refused = spans.one()
        assert refused.operation in ("WS unmatched", "GET unmatched")
        assert refused.error
