# ruff: noqa: ARG002  Falcon gives every responder the request and the response
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from inspect import iscoroutinefunction
from typing import Any

import falcon
import falcon.app
import falcon.asgi
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from contracts.http_server import Client, HttpServerContract, OneServer, asked_in_order
from contracts.serve_asgi import serve_asgi
from contracts.wsgi_app import WsgiAppContract
from fluoro.recorder import recorder
from fluoro.testing import Spans


class Refused(Exception):
    """Its argument is the status that the application's handler answers."""


def refuse(request: Any, response: Any, error: Refused, params: Any) -> None:
    response.status = falcon.code_to_http_status(error.args[0])


async def refuse_async(request: Any, response: Any, error: Refused, params: Any) -> None:
    refuse(request, response, error, params)


class Item:
    def on_get(self, request: Any, response: Any, id: int) -> None:  # noqa: A002  the kit's name
        with recorder.begin("work"):
            response.text = f"item {id}"


class Items:
    def on_post(self, request: Any, response: Any) -> None:
        response.status = falcon.HTTP_201


class Boom:
    def on_get(self, request: Any, response: Any) -> None:
        def boom() -> None:
            raise ZeroDivisionError("the application's own")

        boom()


class Status:
    def on_get(self, request: Any, response: Any, code: int) -> None:
        response.status = falcon.code_to_http_status(code)


class Refusing:
    def on_get(self, request: Any, response: Any, code: int) -> None:
        raise Refused(code)


class Stream:
    def on_get(self, request: Any, response: Any) -> None:
        def chunks() -> Iterator[bytes]:
            for number in range(3):
                with recorder.begin("chunk"):
                    yield str(number).encode()

        response.stream = chunks()


class BrokenStream:
    def on_get(self, request: Any, response: Any) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"x" * 100
            raise ZeroDivisionError

        response.stream = chunks()


class Thing:
    def on_get(self, request: Any, response: Any, name: str) -> None:
        response.text = name


def asynchronous(kind: type) -> Any:
    """The same resource with coroutine functions and asynchronous streams."""
    resource = kind()
    for name in ("on_get", "on_post"):
        method = getattr(resource, name, None)
        if method is not None:
            setattr(resource, name, _asynchronous(method))
    return resource


def _asynchronous(method: Any) -> Any:
    async def responder(request: Any, response: Any, **params: Any) -> None:
        method(request, response, **params)
        if response.stream is not None:
            response.stream = _iterated(response.stream)

    return responder


async def _iterated(stream: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in stream:
        yield chunk


def fill(app: Any, made: Any) -> Any:
    for template, kind in {
        "/items/{id:int(max=99)}": Item,
        "/items": Items,
        "/boom": Boom,
        "/status/{code:int}": Status,
        "/refused/{code:int}": Refusing,
        "/stream": Stream,
        "/broken-stream": BrokenStream,
    }.items():
        app.add_route(template, made(kind))
    return app


class FalconContract(HttpServerContract):
    library = "falcon"

    def originals(self) -> list[Any]:
        return [
            *(vars(falcon.app.App)[name] for name in ("__call__", "_get_responder", "_handle_exception")),
            *(vars(falcon.asgi.App)[name] for name in ("__call__", "_handle_exception")),
        ]

    def test_what_an_error_handler_answers_is_the_cause_of_a_5xx(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/refused/503")[0] == 503
        assert ask("GET", "/refused/409")[0] == 409
        unavailable, conflict = asked_in_order(spans.take(2))
        assert unavailable.cause is not None
        assert unavailable.cause.exceptions[0].type.endswith("Refused")
        assert (conflict.operation, conflict.cause) == ("GET /refused/{code}", None)


class TestWsgi(FalconContract, WsgiAppContract):
    def application(self) -> Any:
        app = fill(falcon.App(), lambda kind: kind())
        app.add_error_handler(Refused, refuse)
        sub = falcon.App()
        sub.add_route("/things/{name}", Thing())
        return DispatcherMiddleware(app, {"/sub": sub})


class TestAsgi(FalconContract, OneServer):
    def serve(self) -> Any:
        app = fill(falcon.asgi.App(), asynchronous)
        app.add_error_handler(Refused, refuse_async)
        sub = falcon.asgi.App()
        sub.add_route("/things/{name}", asynchronous(Thing))

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"].startswith("/sub/"):
                scope = {**scope, "path": scope["path"][4:], "root_path": "/sub"}
                await sub(scope, receive, send)
            else:
                await app(scope, receive, send)

        return serve_asgi(application, lifespan="off")

    def test_stays_a_coroutine_function(self) -> None:
        assert iscoroutinefunction(falcon.asgi.App.__call__)
        assert iscoroutinefunction(falcon.asgi.App._handle_exception)
