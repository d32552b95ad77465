"""What every instrumented web framework must do. An adapter subclasses `HttpServerContract` and serves these routes:

GET  /items/{id}     answers "item <id>"; does internal work in a span "work"
POST /items          answers 201
GET  /boom           raises ZeroDivisionError("the application's own")
GET  /status/{code}  answers `code`
GET  /stream         three chunks, each computed in a span "chunk", in a generator
GET  /broken-stream  one chunk, then raises ZeroDivisionError
GET  /sub/things/{name}   in an application of its own that is mounted at /sub
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from typing import ClassVar

import pytest

from contracts.patched import PatchedContract
from fluoro.model import Kind, Segment
from fluoro.testing import Spans, capture

TRACE = "1-65656565-656565656565656565656565"
PARENT = "00000000000000aa"


class Client:
    """One keep-alive connection; opened again when the server closed it, as servers do after an exception."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def __call__(self, method: str, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        try:
            self.connection.request(method, path, headers=headers)
            response = self.connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.connection.close()
            self.connection.request(method, path, headers=headers)
            response = self.connection.getresponse()
        return response.status, response.read(), {key.lower(): value for key, value in response.getheaders()}

    def close(self) -> None:
        self.connection.close()


def asked_in_order(segments: list[Segment]) -> list[Segment]:
    """By start: a request can end after its client has the answer and has sent the next one."""
    return sorted(segments, key=lambda segment: segment.start)


class HttpServerContract(PatchedContract):
    """Subclass and fill in; the tests come along."""

    # For a server that answers methods it does not know before anything of ours runs: one it knows, and we do not.
    unknown_method: ClassVar[str] = "FROBNICATE"

    def serve(self) -> AbstractContextManager[int]:
        """A real server with the application on a free loopback port, which is the value."""
        raise NotImplementedError

    @pytest.fixture
    def spans(self) -> Iterator[Spans]:
        with capture("shop") as spans:
            yield spans

    @pytest.fixture
    def port(self, spans: Spans) -> Iterator[int]:  # noqa: ARG002  the server stops before the capture ends
        with self.serve() as port:
            yield port

    @pytest.fixture
    def ask(self, port: int) -> Iterator[Client]:
        with closing(Client(port)) as client:
            yield client

    def test_one_segment_with_its_work_below(self, ask: Client, spans: Spans) -> None:
        status, body, headers = ask("GET", "/items/7?token=secret", User_Agent="test/1")
        assert (status, body) == (200, b"item 7")
        work, request = spans.take(2)
        assert (request.name, request.kind, request.subsegment) == ("shop", Kind.SERVER, False)
        assert (request.operation, request.parent_id) == ("GET /items/{id}", 0)
        assert (work.name, work.parent_id, work.trace_id) == ("work", request.id, request.trace_id)
        http_ = request.http
        assert http_ is not None
        assert (http_.method, http_.status, http_.route) == ("GET", 200, "/items/{id}")
        assert http_.url == f"http://127.0.0.1:{ask.connection.port}/items/7"
        assert (http_.user_agent, http_.client_ip, http_.x_forwarded_for) == ("test/1", "127.0.0.1", False)
        assert http_.content_length == 6
        assert (request.error, request.throttle, request.fault, request.cause) == (False, False, False, None)
        assert "x-amzn-trace-id" not in headers

    def test_continues_the_callers_trace(self, ask: Client, spans: Spans) -> None:
        ask("POST", "/items", X_Amzn_Trace_Id=f"Root={TRACE};Parent={PARENT};Sampled=1")
        ask("POST", "/items", traceparent=f"00-{'65' * 16}-{PARENT}-01")
        for request in spans.take(2):
            assert (request.trace_id, request.parent_id) == (b"\x65" * 16, 0xAA)
            assert request.operation == "POST /items"

    def test_answers_the_decision_when_asked(self, ask: Client, spans: Spans) -> None:
        _, _, headers = ask("POST", "/items", X_Amzn_Trace_Id=f"Root={TRACE};Sampled=?")
        assert headers["x-amzn-trace-id"] == f"Root={TRACE};Sampled=1"
        assert spans.one().parent_id == 0

    def test_unsampled_is_not_recorded(self, ask: Client, spans: Spans) -> None:
        ask("GET", "/items/7", X_Amzn_Trace_Id=f"Root={TRACE};Parent={PARENT};Sampled=0")
        ask("GET", "/boom", X_Amzn_Trace_Id=f"Root={TRACE};Parent={PARENT};Sampled=0")
        ask("POST", "/items")
        assert spans.one().operation == "POST /items"

    def test_forwarded_address_is_marked(self, ask: Client, spans: Spans) -> None:
        ask("POST", "/items", X_Forwarded_For="203.0.113.9, 10.0.0.1")
        http_ = spans.one().http
        assert http_ is not None
        assert (http_.client_ip, http_.x_forwarded_for) == ("203.0.113.9", True)

    def test_unhandled_exception_is_the_cause(self, ask: Client, spans: Spans) -> None:
        status, _, _ = ask("GET", "/boom")
        assert status == 500
        request = spans.one()
        assert (request.operation, request.fault, request.error) == ("GET /boom", True, False)
        assert request.http is not None
        assert request.http.status == 500
        assert request.cause is not None
        # A middleware may have put it into a group, or raised it while it handled another one.
        record = next(record for record in request.cause.exceptions if record.type == "ZeroDivisionError")
        assert record.message == "the application's own"
        assert record.stack[0].label.rpartition(".")[2] == "boom"

    @pytest.mark.parametrize(
        ("code", "flags"),
        [(404, (True, False, False)), (429, (True, True, False)), (503, (False, False, True))],
    )
    def test_status_decides(self, ask: Client, spans: Spans, code: int, flags: tuple[bool, bool, bool]) -> None:
        assert ask("GET", f"/status/{code}")[0] == code
        request = spans.one()
        assert request.operation == "GET /status/{code}"
        assert (request.error, request.throttle, request.fault) == flags
        assert request.cause is None

    def test_strangers_cannot_invent_operations(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/no/such/path/1")[0] == 404
        assert ask("GET", "/no/such/path/2")[0] == 404
        assert ask(self.unknown_method, "/items")[0] in (400, 404, 405)
        first, second, third = asked_in_order(spans.take(3))
        assert first.operation == second.operation == "GET unmatched"
        assert third.operation in ("OTHER unmatched", "OTHER /items")
        assert first.error

    def test_a_mounted_application_is_one_request(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/sub/things/x")[0] == 200
        assert ask("GET", "/sub/nothing")[0] == 404
        matched, unmatched = asked_in_order(spans.take(2))
        assert matched.operation == "GET /sub/things/{name}"
        assert unmatched.operation in ("GET unmatched", "GET /sub/{path}", "GET /sub/{subpath}")

    def test_a_stream_ends_with_its_last_chunk(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/stream")[1] == b"012"
        *chunks, request = spans.take(4)
        assert request.operation == "GET /stream"
        assert [chunk.name for chunk in chunks] == ["chunk"] * 3
        assert {chunk.parent_id for chunk in chunks} == {request.id}
        assert request.end >= max(chunk.end for chunk in chunks)

    def test_a_stream_that_breaks_is_a_fault(self, ask: Client, spans: Spans) -> None:
        with suppress(http.client.IncompleteRead):  # werkzeug's server ends the body as if it were whole
            ask("GET", "/broken-stream")
        request = spans.one()
        assert request.fault
        assert request.cause is not None
        # Not always the first one: a framework may hand on anyio's exception group, or raise one of its own from it.
        assert "ZeroDivisionError" in [record.type for record in request.cause.exceptions]

    def test_keep_alive_carries_nothing_over(self, ask: Client, spans: Spans) -> None:
        for path in ("/stream", "/boom", "/items/1", "/items/2"):
            ask("GET", path)
        requests = [segment for segment in spans.take(9) if not segment.subsegment]
        assert len({request.trace_id for request in requests}) == 4
        assert {request.parent_id for request in requests} == {0}

    def test_concurrent_requests_do_not_mix(self, port: int, spans: Spans) -> None:
        def request(number: int) -> bytes:
            with closing(Client(port)) as client:
                return client("GET", f"/items/{number}")[1]

        with ThreadPoolExecutor(4) as pool:
            bodies = list(pool.map(request, range(12)))
        assert bodies == [f"item {number}".encode() for number in range(12)]
        finished = spans.take(24)
        requests = {segment.id: segment for segment in finished if not segment.subsegment}
        work = [segment for segment in finished if segment.subsegment]
        assert {segment.parent_id for segment in work} == set(requests)
        assert all(requests[segment.parent_id].trace_id == segment.trace_id for segment in work)

    def test_a_broken_header_breaks_nothing(self, ask: Client, spans: Spans) -> None:
        assert (
            ask("POST", "/items", X_Amzn_Trace_Id="Root=;;=;\xff", traceparent="00-zz", X_Forwarded_For=",")[0] == 201
        )
        assert isinstance(spans.one(), Segment)


class OneServer(HttpServerContract):
    """For servers that take long to stop, and adapters that patch what is looked up at each request: the tests of a
    class share one server.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def shared_port(cls) -> Iterator[int]:
        with cls().serve() as port:
            yield port

    @pytest.fixture
    def port(self, shared_port: int) -> int:  # type: ignore[override]
        return shared_port
