from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from contracts.http_server import Client, asked_in_order
from contracts.wsgi_app import WsgiAppContract
from fluoro.recorder import recorder
from fluoro.testing import Spans

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # WebOb imports cgi, Pyramid pkg_resources
    import pyramid.router
    from pyramid.config import Configurator
    from pyramid.httpexceptions import HTTPServiceUnavailable
    from pyramid.request import Request
    from pyramid.response import Response
    from pyramid.urldispatch import RoutesMapper
    from pyramid.view import ViewMethodsMixin
    from pyramid.wsgi import wsgiapp2


class Refused(Exception):
    """Its argument is the status that the application's exception view answers."""


def item(request: Any) -> Response:
    with recorder.begin("work"):
        return Response(f"item {request.matchdict['id']}")


def create(request: Any) -> Response:
    return Response(status=201)


def boom(request: Any) -> Response:
    raise ZeroDivisionError("the application's own")


def status(request: Any) -> Response:
    return Response(status=int(request.matchdict["code"]))


def refused(request: Any) -> Response:
    raise Refused(int(request.matchdict["code"]))


def unavailable(request: Any) -> Response:
    raise HTTPServiceUnavailable


def refuse(error: Refused, request: Any) -> Response:
    return Response(status=error.args[0])


def stream(request: Any) -> Response:
    def chunks() -> Iterator[bytes]:
        for number in range(3):
            with recorder.begin("chunk"):
                yield str(number).encode()

    return Response(app_iter=chunks())


def broken_stream(request: Any) -> Response:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 100
        raise ZeroDivisionError

    return Response(app_iter=chunks())


def name(request: Any) -> Response:
    return Response(request.matchdict["name"])


def outer(request: Any) -> Response:
    inner = request.invoke_subrequest(Request.blank("/items/5"))
    return Response(b"outer " + inner.body)


def configured(routes: dict[str, Any], **options: Any) -> Any:
    config = Configurator()
    for pattern, view in routes.items():
        config.add_route(pattern, pattern)
        config.add_view(view, route_name=pattern, **options.get(pattern, {}))
    config.add_exception_view(refuse, context=Refused)
    return config.make_wsgi_app()


def application() -> Any:
    sub = configured({"/things/{name}": name})
    return configured(
        {
            r"/items/{id:\d{1,9}}": item,
            "/items": create,
            "boom": boom,
            "/status/{code}": status,
            "/refused/{code}": refused,
            "/unavailable": unavailable,
            "/stream": stream,
            "/broken-stream": broken_stream,
            "/outer": outer,
            "/sub*subpath": wsgiapp2(sub),
        },
        **{"/items": {"request_method": "POST"}},
    )


class TestPyramid(WsgiAppContract):
    library = "pyramid"

    def application(self) -> Any:
        return application()

    def answers_exceptions(self) -> bool:
        return False

    def originals(self) -> list[Any]:
        return [
            vars(pyramid.router.Router)["__call__"],
            vars(RoutesMapper)["__call__"],
            vars(ViewMethodsMixin)["invoke_exception_view"],
        ]

    def test_what_an_exception_view_answers_is_the_cause_of_a_5xx(self, ask: Client, spans: Spans) -> None:
        for path, code in {"/refused/503": 503, "/refused/409": 409, "/unavailable": 503}.items():
            assert ask("GET", path)[0] == code
        mine, conflict, theirs = asked_in_order(spans.take(3))
        assert mine.cause is not None
        assert mine.cause.exceptions[0].type.endswith("Refused")
        assert (conflict.operation, conflict.cause) == ("GET /refused/{code}", None)
        assert theirs.cause is not None
        assert theirs.cause.exceptions[0].type.endswith("HTTPServiceUnavailable")

    def test_a_subrequest_leaves_the_route_as_it_is(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/outer")[1] == b"outer item 5"
        work, request = spans.take(2)
        assert (request.operation, work.parent_id) == ("GET /outer", request.id)
