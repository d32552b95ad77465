"""The SDK's integrations over fluoro's instrumentations: one segment a request, whichever of the two was there first."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fluoro import instrument
from fluoro.compat.aws_xray_sdk.core import xray_recorder
from fluoro.compat.aws_xray_sdk.core.patcher import enable
from fluoro.model import Segment
from fluoro.testing import Spans

HEADER = "X-Amzn-Trace-Id"
CALLER = {HEADER: "Root=1-5f84c7a1-0123456789abcdef01234567;Parent=53995c3f42cd8ad8;Sampled=1"}
ROOT = "Root=1-5f84c7a1-0123456789abcdef01234567"

both = pytest.mark.parametrize("first", ["middleware", "fluoro"])


@pytest.fixture(autouse=True)
def as_new() -> Iterator[None]:
    yield
    instrument.uninstall()


def patched_before(first: str, name: str) -> None:
    if first == "fluoro":
        enable([name])


def is_served(segment: Segment, operation: str, status: int = 200) -> None:
    assert (segment.operation, segment.http.status) == (operation, status)
    assert segment.parent_id == 0x53995C3F42CD8AD8


@both
def test_flask(first, spans: Spans):
    patched_before(first, "flask")
    from flask import Flask, render_template_string

    from fluoro.compat.aws_xray_sdk.ext.flask.middleware import XRayMiddleware

    app = Flask(__name__)
    XRayMiddleware(app, xray_recorder)

    @app.get("/orders/<int:number>")
    def order(number: int) -> str:
        xray_recorder.current_segment().put_annotation("number", number)
        with xray_recorder.in_subsegment("price"):
            return render_template_string("{{ n }}", n=number)

    @app.get("/broken")
    def broken() -> str:
        raise ValueError("no stock")

    client = app.test_client()
    answer = client.get("/orders/7", headers=CALLER, buffered=True)
    assert answer.headers.getlist(HEADER) == [ROOT]
    template, price, served = spans.take()
    is_served(served, "GET /orders/{number}")
    assert served.annotations == {"number": 7}
    assert (price.parent_id, template.parent_id, template.name) == (served.id, price.id, "template_render")
    asked = client.get("/orders/7", headers={HEADER: f"{ROOT};Sampled=?"}, buffered=True)
    assert asked.headers.getlist(HEADER) == [f"{ROOT};Sampled=1"]
    assert len(spans.take()) == 3
    client.get("/broken", headers=CALLER, buffered=True)
    failed = spans.one()
    is_served(failed, "GET /broken", 500)
    assert failed.cause.exceptions[0].message == "no stock"


@both
def test_bottle(first, spans: Spans):
    patched_before(first, "bottle")
    from bottle import Bottle, SimpleTemplate
    from werkzeug.test import Client

    from fluoro.compat.aws_xray_sdk.ext.bottle.middleware import XRayMiddleware

    app = Bottle()
    app.install(XRayMiddleware(xray_recorder))

    @app.get("/orders/<number:int>")
    def order(number: int) -> str:
        xray_recorder.put_annotation("number", number)
        return SimpleTemplate("{{n}}").render(n=number)

    answer = Client(app).get("/orders/7", headers=CALLER)
    assert (answer.text, answer.headers.getlist(HEADER)) == ("7", [ROOT])
    template, served = spans.take()
    is_served(served, "GET /orders/{number}")
    assert served.annotations == {"number": 7}
    assert template.parent_id == served.id


@both
def test_aiohttp(first, spans: Spans):
    from aiohttp import ClientSession, web
    from aiohttp.test_utils import TestServer

    from fluoro.compat.aws_xray_sdk.ext.aiohttp import client, middleware

    if first == "fluoro":
        enable(["aiohttp"])
    else:
        importlib.reload(middleware)

    async def order(request: web.Request) -> web.Response:
        xray_recorder.put_annotation("number", request.match_info["number"])
        if request.match_info["number"] == "0":
            raise web.HTTPNotFound
        return web.Response(text="ok")

    async def main() -> None:
        app = web.Application(middlewares=[middleware.middleware])
        app.router.add_get("/orders/{number}", order)
        async with TestServer(app) as server:
            url = str(server.make_url("/orders/"))
            with xray_recorder.in_segment("caller"):
                async with ClientSession(trace_configs=[client.aws_xray_trace_config()]) as session:
                    for number in (7, 0):
                        async with session.get(f"{url}{number}?secret=1") as answer:
                            assert answer.headers[HEADER].startswith("Root=1-")
            with xray_recorder.in_segment("caller"):
                async with ClientSession(trace_configs=[client.aws_xray_trace_config("named")]) as session:
                    with pytest.raises(OSError):
                        await session.get("http://127.0.0.1:1/")

    asyncio.run(main())
    found = spans.take()
    served = [span for span in found if not span.subsegment and span.name != "caller"]
    calls = [span for span in found if span.subsegment]
    assert [span.http.status for span in served] == [200, 404]
    assert [(span.name, span.http.status) for span in calls[:2]] == [
        (served[0].http.url.split("/")[2], 200),
        (calls[0].name, 404),
    ]
    assert [span.parent_id for span in served] == [span.id for span in calls[:2]]
    assert "secret" not in repr(found)
    assert len(calls) == 3
    assert calls[2].fault
    assert calls[2].name == ("127.0.0.1:1" if first == "fluoro" else "named")


def test_sqlalchemys_sessions(spans: Spans):
    import sqlite3

    from sqlalchemy import create_engine, text

    from fluoro.compat.aws_xray_sdk.ext.sqlalchemy.query import XRaySessionMaker

    assert sqlite3
    enable(["sqlite3"])
    with xray_recorder.in_segment("web"):
        engine = create_engine("sqlite://")
        with XRaySessionMaker(bind=engine)() as session:
            assert session.execute(text("SELECT 40 + 2")).scalar() == 42
        engine.dispose()
    *queries, _ = spans.take()
    assert [query.sql.query for query in queries if query.operation == "SELECT"] == ["SELECT ? + ?"]


def test_flask_sqlalchemy(monkeypatch, spans: Spans):
    """With a stand-in for the package, of which only the base class is used."""
    import types

    class SQLAlchemy:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.made_with = (args, kwargs)

    package = types.ModuleType("flask_sqlalchemy")
    package.SQLAlchemy = SQLAlchemy
    monkeypatch.setitem(sys.modules, "flask_sqlalchemy", package)
    query = importlib.import_module("fluoro.compat.aws_xray_sdk.ext.flask_sqlalchemy.query")
    database = query.XRayFlaskSqlAlchemy("app", session_options={})
    assert database.made_with == (("app",), {"session_options": {}})
    assert instrument.register.get("sqlalchemy", "patched") == "patched"
    del sys.modules[query.__name__]
    assert spans.take() == []


DJANGO = """
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="k", ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", DEBUG=False, USE_TZ=True,
    INSTALLED_APPS=["fluoro.compat.aws_xray_sdk.ext.django"],
    MIDDLEWARE=["fluoro.compat.aws_xray_sdk.ext.django.middleware.XRayMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    XRAY_RECORDER={"AWS_XRAY_TRACING_NAME": "shop", "URLS_AS_ANNOTATION": "ALL", "MAX_TRACE_BACK": 5, "PLUGINS": ()},
)
from fluoro.compat.aws_xray_sdk.core import xray_recorder
from fluoro.testing import capture
with capture("shop") as spans:
    django.setup()
    from django.db import connection
    from django.http import HttpResponse
    from django.template import Context, Template
    from django.urls import path
    from django.core.wsgi import get_wsgi_application
    from werkzeug.test import Client

    def order(request, number):
        with connection.cursor() as cursor: cursor.execute("SELECT 1")
        return HttpResponse(Template("{{ n }}", name="order.html").render(Context({"n": number})))
    def broken(request): raise ValueError("no stock")
    urlpatterns = [path("orders/<int:number>", order), path("broken", broken)]

    client = Client(get_wsgi_application())
    answer = client.get("/orders/7?secret=1", headers={"X-Amzn-Trace-Id": "Root=1-5f84c7a1-0123456789abcdef01234567;Sampled=1"}, buffered=True)
    assert answer.data == b"7"
    assert answer.headers["X-Amzn-Trace-Id"] == "Root=1-5f84c7a1-0123456789abcdef01234567"
    *below, served = spans.take()
    assert [span.name for span in below if span.sql is None] == ["order.html"], below
    assert "SELECT ?" in [span.sql.query for span in below if span.sql], below
    assert all(span.parent_id == served.id for span in below)
    assert served.operation == "GET /orders/{number}", served
    assert served.annotations["url"] == "http://localhost/orders/7" and served.annotations["status"] == 200
    client.get("/broken", buffered=True)
    failed = spans.one()
    assert failed.http.status == 500 and failed.cause.exceptions[0].message == "no stock"
    assert xray_recorder.max_trace_back == 5 and xray_recorder.service == "shop"
print("as expected")
"""


def test_django_with_its_settings():
    """In a process of its own: Django is configured once."""
    done = subprocess.run([sys.executable, "-c", DJANGO], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("as expected\n", 0), done.stderr
