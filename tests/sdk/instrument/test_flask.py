from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from contracts.instrumented import instrumented
from contracts.wsgi_app import WsgiAppContract
from fluoro.recorder import recorder
from fluoro.sampling import LEAVE, RECORD
from fluoro.testing import Spans


def application() -> Flask:
    app = Flask("shop")

    @app.get("/items/<int:id>")
    def item(id: int) -> str:  # noqa: A002
        with recorder.begin("work"):
            return f"item {id}"

    @app.post("/items")
    def create() -> tuple[str, int]:
        return "", 201

    @app.get("/boom")
    def boom() -> str:
        raise ZeroDivisionError("the application's own")

    @app.get("/status/<code>")
    def status(code: str) -> tuple[str, int]:
        return "", int(code)

    @app.get("/stream")
    def stream() -> Response:
        def chunks() -> Iterator[str]:
            for number in range(3):
                with recorder.begin("chunk"):
                    yield str(number)

        return Response(chunks())

    @app.get("/broken-stream")
    def broken() -> Response:
        def chunks() -> Iterator[str]:
            yield "x" * 100
            raise ZeroDivisionError

        return Response(chunks())

    sub = Flask("sub")

    @sub.get("/things/<name>")
    def thing(name: str) -> str:
        return name

    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/sub": sub})  # type: ignore[method-assign]
    return app


class TestFlask(WsgiAppContract):
    library = "flask"

    def application(self) -> Any:
        return application()

    def originals(self) -> list[Any]:
        return [
            vars(Flask)[name]
            for name in ("__call__", "full_dispatch_request", "handle_user_exception", "handle_exception")
        ]

    def test_a_propagated_exception_passes_unchanged(self, spans: Spans) -> None:
        app = application()
        app.testing = True
        with pytest.raises(ZeroDivisionError, match="the application's own"):
            app.test_client().get("/boom")
        request = spans.one()
        assert request.cause is not None
        assert len(request.cause.exceptions) == 1
        assert request.http is not None
        assert request.http.status == 500

    def test_a_file_is_left_to_the_server(self, spans: Spans) -> None:
        app = Flask("files")
        wrapped: list[object] = []

        @app.get("/file")
        def file() -> Response:
            return Response(Wrapper(), direct_passthrough=True)

        class Wrapper:
            def __iter__(self) -> Iterator[bytes]:
                return iter([b"file"])

        environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": "/file", "SERVER_NAME": "x", "SERVER_PORT": "80",
            "wsgi.url_scheme": "http", "wsgi.file_wrapper": Wrapper,
        }  # fmt: skip
        wrapped.append(app(environ, lambda *_: None))  # type: ignore[arg-type]
        assert isinstance(wrapped[0], Wrapper)
        assert spans.one().operation == "GET /file"

    def test_what_runs_when_the_body_is_closed_belongs_to_the_request(self, spans: Spans) -> None:
        app = Flask("late")

        @app.get("/late")
        def late() -> Response:
            response = Response("x")
            response.call_on_close(lambda: recorder.begin("late work").end())
            return response

        with app.test_client() as client:
            client.get("/late").close()
        work, request = spans.take(2)
        assert work.parent_id == request.id
        assert recorder.current() is None

    def test_an_exception_that_a_handler_of_the_applications_answers_with_a_5xx_is_the_cause(
        self, spans: Spans
    ) -> None:
        app = Flask("handlers")

        @app.get("/<int:code>")
        def fail(code: int) -> str:
            raise LookupError(code)

        @app.errorhandler(LookupError)
        def answer(error: LookupError) -> tuple[str, int]:
            return "", error.args[0]

        for code in (503, 404):
            with app.test_client().get(f"/{code}") as response:
                assert response.status_code == code
        unavailable, missing = spans.take(2)
        assert unavailable.cause is not None
        assert unavailable.cause.exceptions[0].type == "LookupError"
        assert missing.cause is None


def test_a_request_that_is_left_out_is_decided_on_once(spans: Spans) -> None:
    """By whoever is outermost; the application inside must not be asked again, and perhaps decide otherwise."""
    decisions = iter([LEAVE, RECORD])
    recorder.sampler = lambda *_: next(decisions)
    with instrumented("flask"):
        app = Flask("inner")
        app.add_url_rule("/inner", view_func=lambda: "done")
        with recorder.begin_segment("POST"):
            assert app.test_client().get("/inner").data == b"done"
    assert spans.take() == []
    assert next(decisions) is RECORD
