from __future__ import annotations

from collections.abc import Iterator
from inspect import iscoroutinefunction
from typing import Any, ClassVar

import django
import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler, StaticFilesHandlerMixin
from django.core.handlers import base, exception
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from django.test import override_settings
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from contracts import django_site
from contracts.http_server import Client, HttpServerContract, OneServer, asked_in_order
from contracts.instrumented import instrumented
from contracts.serve_asgi import serve_asgi
from contracts.wsgi_app import WsgiAppContract, call, environ, read
from fluoro.testing import Spans


class DjangoContract(HttpServerContract):
    library = "django"
    urls: ClassVar[tuple[Any, ...]]

    @pytest.fixture(autouse=True)
    def _urls(self) -> Iterator[None]:
        with override_settings(ROOT_URLCONF=self.urls):
            yield

    def originals(self) -> list[Any]:
        return [
            vars(WSGIHandler)["__call__"],
            vars(ASGIHandler)["__call__"],
            vars(base.BaseHandler)["resolve_request"],
            vars(base.BaseHandler)["process_exception_by_middleware"],
            vars(exception)["handle_uncaught_exception"],
            vars(StaticFilesHandlerMixin)["serve"],
        ]

    def test_the_route_is_readable(self, ask: Client, spans: Spans) -> None:
        for path in ("/articles/2026/", "/v1/orders/7/", "/v1/berlin/x"):
            ask("GET", path)
        assert [request.operation for request in asked_in_order(spans.take(3))] == [
            "GET /articles/{year}/page-{var}/",
            "GET /v1/orders/{id}/",
            "GET /v1/{shop}/x",
        ]

    def test_what_process_exception_answers_is_the_cause_of_a_5xx(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/caught/503")[0] == 503
        assert ask("GET", "/caught/404")[0] == 404
        unavailable, missing = asked_in_order(spans.take(2))
        assert unavailable.cause is not None
        assert unavailable.cause.exceptions[0].type.endswith("Caught")
        assert (missing.operation, missing.cause) == ("GET /caught/{code}", None)

    def test_a_middleware_that_raises_is_the_cause(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/broken-middleware")[0] == 500
        request = spans.one()
        assert request.operation == "GET unmatched"
        assert request.cause is not None
        assert request.cause.exceptions[0].message == "in a middleware"


class TestWsgi(DjangoContract, WsgiAppContract):
    urls = django_site.SYNC

    def application(self) -> Any:
        app = WSGIHandler()
        return DispatcherMiddleware(app, {"/sub": app})

    def test_a_file_is_sent(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/file")[1] == b"file"
        assert spans.one().operation == "GET /file"

    def test_a_file_of_the_development_server(self, spans: Spans) -> None:
        status, body = call(StaticFilesHandler(self.application()), environ("/static/none.css"))
        read(body)
        assert (status[:3], spans.one().operation) == ("404", "GET /static/{path}")


class TestAsyncViewsInWsgi(TestWsgi):
    urls = django_site.ASYNC_IN_WSGI


# Django leaves the request's file open when a stream breaks.
@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile.*")
class TestAsgi(DjangoContract, OneServer):
    urls = django_site.ASYNC

    def serve(self) -> Any:
        app = ASGIHandler()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"].startswith("/sub/"):
                scope = {**scope, "root_path": "/sub"}
            await app(scope, receive, send)

        return serve_asgi(application, lifespan="off")

    def test_stays_a_coroutine_function(self) -> None:
        assert iscoroutinefunction(ASGIHandler.__call__)


class TestSyncViewsInAsgi(TestAsgi):
    urls = django_site.SYNC_IN_ASGI


def test_queries_come_from_the_driver_once(spans: Spans) -> None:
    before = vars(SQLiteCursorWrapper)["execute"]
    with instrumented("sqlite3", "django"):
        assert (vars(SQLiteCursorWrapper)["execute"] is before) == (django.VERSION >= (4, 2))
        connection = connections.create_connection("default")
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT %s, 'secret'", [7])
                assert cursor.fetchone() == (7, "secret")
                cursor.execute("CREATE TABLE numbers (number)")
                cursor.executemany("INSERT INTO numbers VALUES (%s)", [(1,), (2,)])
        finally:
            connection.close()
    queries = [segment.sql.query for segment in spans.take() if segment.sql is not None]
    for verb in ("SELECT", "CREATE", "INSERT"):
        assert len([query for query in queries if query.startswith(verb)]) == 1
    assert "secret" not in repr(queries)
