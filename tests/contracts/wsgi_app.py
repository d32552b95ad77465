"""What every instrumented WSGI framework must do, beside `HttpServerContract`: with its server, and inside others."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any
from wsgiref.util import setup_testing_defaults

from contracts.http_server import Client, HttpServerContract
from contracts.serve_wsgi import serve_wsgi
from fluoro.instrument import _http, _wsgi
from fluoro.recorder import recorder
from fluoro.testing import Spans


def environ(path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1", **more}
    setup_testing_defaults(made)
    return made


def call(app: Any, environ: dict[str, Any]) -> tuple[str, Iterable[bytes]]:
    """Call `app` as a server does; the status and the body, not iterated yet."""
    started: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> Any:
        started.append(status)
        return lambda _: None

    body = app(environ, start_response)
    return (started[-1] if started else "", body)


def read(body: Iterable[bytes]) -> bytes:
    try:
        return b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()


class WsgiAppContract(HttpServerContract):
    def application(self) -> Any:
        """The WSGI application with the kit's routes."""
        raise NotImplementedError

    def serve(self) -> AbstractContextManager[int]:
        return serve_wsgi(self.application())

    def test_between_chunks_the_thread_belongs_to_the_server(self, spans: Spans) -> None:
        _, body = call(self.application(), environ("/stream"))
        assert recorder.current() is None
        chunks = iter(body)
        assert next(chunks) == b"0"
        assert recorder.current() is None
        assert list(chunks) == [b"1", b"2"]
        body.close()  # type: ignore[attr-defined]
        assert recorder.current() is None
        *chunk_spans, request = spans.take(4)
        assert {chunk.parent_id for chunk in chunk_spans} == {request.id}

    def test_a_client_that_leaves_ends_the_request(self, spans: Spans) -> None:
        _, body = call(self.application(), environ("/stream"))
        assert next(iter(body)) == b"0"
        body.close()  # type: ignore[attr-defined]
        request = spans.one(lambda segment: not segment.subsegment)
        assert (request.operation, request.fault, request.cause) == ("GET /stream", False, None)
        assert {chunk.parent_id for chunk in spans.take()} == {request.id}

    def test_head_is_one_request(self, ask: Client, spans: Spans) -> None:
        assert ask("HEAD", "/items/7")[1] == b""
        assert ask("GET", "/items/8")[1] == b"item 8"
        get = spans.one(lambda segment: segment.operation == "GET /items/{id}")
        head = spans.one(lambda segment: segment.operation in ("HEAD /items/{id}", "HEAD unmatched"))
        assert {segment.parent_id for segment in spans.take()} <= {get.id, head.id}

    def test_a_traced_server_around_it_opens_the_segment(self, spans: Spans) -> None:
        app = _wsgi.traced(self.application())
        status, body = call(app, environ("/items/7"))
        assert (status[:3], read(body)) == ("200", b"item 7")
        work, request = spans.take(2)
        assert (request.operation, work.parent_id) == ("GET /items/{id}", request.id)
        read(call(app, environ("/boom"))[1]) if self.answers_exceptions() else _raises(app)
        failed = spans.one()
        assert (failed.operation, failed.fault) == ("GET /boom", True)
        assert failed.cause is not None
        assert [record.type for record in failed.cause.exceptions].count("ZeroDivisionError") == 1

    def answers_exceptions(self) -> bool:
        """Whether the framework makes a 500 of what a view raises, and does not leave it to the server."""
        return True

    def test_within_another_protocol_it_adds_to_that_request(self, spans: Spans) -> None:
        served = _http.server_span("GET", "http://shop/items/7", lambda _: None, "")
        status, body = call(self.application(), environ("/items/7"))
        assert read(body) == b"item 7"
        assert recorder.current() is served
        _http.record_answer(served, "GET", "/{path}", int(status[:3]), None)
        served.end()
        work, request = spans.take(2)
        assert (request.operation, work.parent_id) == ("GET /items/{id}", request.id)

    def test_an_exception_within_another_protocol_is_the_cause(self, spans: Spans) -> None:
        served = _http.server_span("GET", "http://shop/boom", lambda _: None, "")
        read(call(self.application(), environ("/boom"))[1]) if self.answers_exceptions() else _raises(
            self.application()
        )
        served.end()
        request = spans.one()
        assert request.cause is not None
        assert "ZeroDivisionError" in [record.type for record in request.cause.exceptions]


def _raises(app: Any) -> None:
    try:
        call(app, environ("/boom"))
    except ZeroDivisionError:
        return
    raise AssertionError("it did not raise")
