from __future__ import annotations

import http.client
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import fluoro
from contracts.http_server import Client, asked_in_order
from contracts.instrumented import instrumented
from contracts.serve_asgi import serve_asgi
from contracts.wsgi_app import call, environ, read
from contracts.wsgi_servers import SERVERS
from fluoro.instrument import _wsgi
from fluoro.recorder import recorder
from fluoro.testing import Spans, capture

TRACE = "1-65656565-656565656565656565656565"


def plain(environ: dict[str, Any], start_response: Any) -> Any:
    """An application without a framework."""
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise ZeroDivisionError("the application's own")
    if path == "/caught":
        try:
            raise LookupError("caught")  # noqa: TRY301  caught on purpose
        except LookupError:
            start_response("500 Internal Server Error", [("Content-Length", "0")], sys.exc_info())
            return [b""]
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return chunks()
    with recorder.begin("work"):
        start_response("200 OK", [("Content-Length", "5")])
        return [b"plain"]


def chunks() -> Iterator[bytes]:
    for number in range(3):
        with recorder.begin("chunk"):
            yield str(number).encode()


def framework() -> flask.Flask:
    app = flask.Flask("inside")

    @app.get("/items/<int:id>")
    def item(id: int) -> str:  # noqa: A002
        with recorder.begin("work"):
            return f"item {id}"

    @app.get("/boom")
    def boom() -> str:
        raise ZeroDivisionError("the application's own")

    return app


@pytest.fixture(params=sorted(SERVERS))
def server(request: pytest.FixtureRequest) -> Any:
    return SERVERS[request.param]


@pytest.fixture
def spans() -> Iterator[Spans]:
    with capture("shop") as spans:
        yield spans


@pytest.fixture
def patched() -> Iterator[None]:
    with instrumented("wsgi", "flask"):
        yield


@pytest.mark.usefixtures("patched")
class TestServers:
    def test_any_application_is_one_segment_a_request(self, server: Any, spans: Spans) -> None:
        with server(plain) as port, closing(Client(port)) as ask:
            assert ask("GET", "/anything/7?q=secret")[1] == b"plain"
            work, request = spans.take(2)
            assert (request.operation, work.parent_id, request.parent_id) == ("GET unmatched", request.id, 0)
            assert request.http is not None
            assert (request.http.status, request.http.content_length) == (200, 5)
            assert request.http.url == f"http://127.0.0.1:{port}/anything/7"
            assert request.http.client_ip == "127.0.0.1"
            assert ask("GET", "/stream")[1] == b"012"
            *parts, streamed = spans.take(4)
            assert {part.parent_id for part in parts} == {streamed.id}
            _, _, headers = ask("GET", "/", X_Amzn_Trace_Id=f"Root={TRACE};Sampled=?")
            assert headers["x-amzn-trace-id"] == f"Root={TRACE};Sampled=1"
            assert {segment.trace_id for segment in spans.take(2)} == {b"\x65" * 16}

    def test_what_it_raises_is_the_cause(self, server: Any, spans: Spans) -> None:
        with server(plain) as port, closing(Client(port)) as ask:
            with suppress(http.client.HTTPException, ConnectionError):
                ask("GET", "/caught")
            caught = spans.one()
            with suppress(http.client.HTTPException, ConnectionError):
                ask("GET", "/boom")
            raised = spans.take()  # a client tries again on a new connection
        for request, kind in [(caught, "LookupError"), (raised[0], "ZeroDivisionError")]:
            assert request.fault
            assert request.cause is not None
            assert request.cause.exceptions[0].type == kind

    def test_a_framework_inside_writes_its_route_into_the_same_segment(self, server: Any, spans: Spans) -> None:
        with server(framework()) as port, closing(Client(port)) as ask:
            assert ask("GET", "/items/7")[1] == b"item 7"
            assert ask("GET", "/boom")[0] == 500
            assert ask("GET", "/none")[0] == 404
        work, item, boom, none = asked_in_order(spans.take(4))[:4]
        work, item = (work, item) if work.subsegment else (item, work)
        assert (item.operation, work.parent_id) == ("GET /items/{id}", item.id)
        assert (boom.operation, none.operation) == ("GET /boom", "GET unmatched")
        assert boom.cause is not None
        assert [record.type for record in boom.cause.exceptions] == ["ZeroDivisionError"]


def test_the_public_wrapper_traces_for_servers_that_are_not_patched(spans: Spans) -> None:
    app = fluoro.wsgi(plain)
    assert read(call(app, environ("/"))[1]) == b"plain"
    work, request = spans.take(2)
    assert (request.operation, work.parent_id) == ("GET unmatched", request.id)
    assert recorder.current() is None


def test_the_public_wrapper_does_nothing_when_tracing_is_off() -> None:
    seen: list[Any] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append((environ, start_response, recorder.current()))
        return [b""]

    given = environ("/")
    before = dict(given)
    assert fluoro.wsgi(application)(given, print) == [b""]
    assert seen == [(before, print, None)]


def test_a_body_that_the_server_forgets_to_close_is_recorded(spans: Spans) -> None:
    _, body = call(_wsgi.traced(plain), environ("/stream"))
    assert next(iter(body)) == b"0"
    del body
    request = spans.one(lambda segment: not segment.subsegment)
    assert request.http is not None
    assert request.http.status == 200
    assert [segment.parent_id for segment in spans.take()] == [request.id]


def test_a_traced_application_looks_like_itself() -> None:
    app = framework()
    traced = _wsgi.traced(app)
    assert isinstance(traced, flask.Flask)
    assert traced.name == "inside"
    assert _wsgi.traced(traced) is traced
    assert _wsgi.traced(None) is None


class Wrapper:
    """What a server sends without iterating it."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"file"])


class File:
    def read(self) -> bytes:
        return b"file"

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"file"])


@pytest.mark.parametrize("wrapper", [Wrapper, lambda file: file], ids=["class", "function"])
def test_a_file_is_left_to_the_server(spans: Spans, wrapper: Any) -> None:
    """The second is uWSGI's way: its wrapper returns the file and remembers it."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    file = File()
    _, body = call(_wsgi.traced(application), environ("/", **{"wsgi.file_wrapper": wrapper}))
    assert type(body) in (Wrapper, File)
    assert spans.one().operation == "GET unmatched"


def test_within_an_asgi_application_it_is_the_same_request(spans: Spans) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Starlette would rather have a2wsgi used
        from starlette.middleware.wsgi import WSGIMiddleware
    routes = [Mount("/inside", WSGIMiddleware(framework()))]
    with (
        instrumented("starlette", "flask"),
        serve_asgi(Starlette(routes=routes)) as port,
        closing(Client(port)) as ask,
    ):
        assert ask("GET", "/inside/items/7")[1] == b"item 7"
        assert ask("GET", "/inside/boom")[0] == 500
        work, item, boom = spans.take(3)
    assert (item.operation, work.parent_id, item.parent_id) == ("GET /inside/items/{id}", item.id, 0)
    assert (boom.operation, boom.fault) == ("GET /inside/boom", True)
    assert boom.cause is not None
    assert boom.cause.exceptions[0].type == "ZeroDivisionError"
