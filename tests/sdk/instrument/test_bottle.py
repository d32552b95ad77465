from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bottle
import pytest
from bottle import Bottle, HTTPError, HTTPResponse, Router

from contracts.http_server import Client, asked_in_order
from contracts.wsgi_app import WsgiAppContract, call, environ, read
from fluoro.recorder import recorder
from fluoro.testing import Spans


def application() -> Bottle:
    app = Bottle()

    @app.get("/items/<id:int>")
    def item(id: int) -> str:  # noqa: A002  the kit's name
        with recorder.begin("work"):
            return f"item {id}"

    @app.post("/items")
    def create() -> HTTPResponse:
        return HTTPResponse(status=201)

    @app.get("/boom")
    def boom() -> None:
        raise ZeroDivisionError("the application's own")

    @app.get("/status/<code:int>")
    def status(code: int) -> HTTPResponse:
        return HTTPResponse(status=code)

    @app.get("/stream")
    def stream() -> Iterator[bytes]:
        for number in range(3):
            with recorder.begin("chunk"):
                yield str(number).encode()

    @app.get("/broken-stream")
    def broken() -> Iterator[bytes]:
        yield b"x" * 100
        raise ZeroDivisionError

    @app.get("/broken-before-the-stream")
    def broken_at_once() -> Iterator[bytes]:
        raise ZeroDivisionError
        yield b""

    @app.get("/abort/<code:int>")
    def abort(code: int) -> None:
        bottle.abort(code, "no")

    @app.get("/files/<path:re:.*\\.txt>")
    def file(path: str) -> str:
        return path

    sub = Bottle()

    @sub.get("/things/<name>")
    def thing(name: str) -> str:
        return name

    sub.config["sub"] = "its own"  # plugins or configuration of its own make it an application inside
    app.mount("/sub/", sub)
    app.mount("/wsgi/", plain)
    return app


def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]


class TestBottle(WsgiAppContract):
    library = "bottle"

    def application(self) -> Any:
        return application()

    def originals(self) -> list[Any]:
        return [vars(Bottle)["__call__"], vars(Bottle)["_cast"], vars(Router)["match"]]

    @pytest.fixture(autouse=True)
    def _quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Bottle prints what it catches."""
        monkeypatch.setattr(bottle, "_stderr", lambda *_: None)

    def test_an_expression_in_a_rule_is_left_out(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/files/a/b.txt")[1] == b"a/b.txt"
        assert ask("GET", "/wsgi/anything")[1] == b"/anything"
        file, mounted = asked_in_order(spans.take(2))
        assert (file.operation, mounted.operation) == ("GET /files/{path}", "GET /wsgi/{path}")

    def test_a_generator_that_fails_at_once_is_the_cause(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/broken-before-the-stream")[0] == 500
        cause = spans.one().cause
        assert cause is not None
        assert cause.exceptions[0].type == "ZeroDivisionError"

    def test_aborting_with_a_5xx_is_the_cause(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/abort/503")[0] == 503
        assert ask("GET", "/abort/404")[0] == 404
        unavailable, missing = asked_in_order(spans.take(2))
        assert unavailable.cause is not None
        assert unavailable.cause.exceptions[0].type.endswith(HTTPError.__name__)
        assert missing.cause is None

    def test_without_catchall_the_exception_passes_unchanged(self, spans: Spans) -> None:
        app = application()
        app.catchall = False
        with pytest.raises(ZeroDivisionError, match="the application's own"):
            read(call(app, environ("/boom"))[1])
        assert spans.one().fault
