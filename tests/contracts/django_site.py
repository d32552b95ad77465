"""A Django site without files: settings, and the kit's routes as sync and async views."""

# ruff: noqa: ARG002, ARG004, ARG005  Django gives every view the request

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import django
from django.conf import settings
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from django.utils.deprecation import MiddlewareMixin
from django.views.decorators.http import require_POST

from fluoro.recorder import recorder


class Caught(Exception):
    """What the middleware answers; its argument is the status."""


class Catching(MiddlewareMixin):
    """Answers `Caught`, and raises it itself for `/broken-middleware`."""

    def process_request(self, request: Any) -> None:
        if request.path == "/broken-middleware":
            raise ZeroDivisionError("in a middleware")

    def process_exception(self, request: Any, error: Exception) -> HttpResponse | None:
        return HttpResponse(status=error.args[0]) if isinstance(error, Caught) else None


def item(request: Any, id: int) -> HttpResponse:  # noqa: A002  the kit's name
    with recorder.begin("work"):
        return HttpResponse(f"item {id}", headers={"Content-Length": str(len(f"item {id}"))})


@require_POST
def create(request: Any) -> HttpResponse:
    return HttpResponse(status=201)


def boom(request: Any) -> HttpResponse:
    raise ZeroDivisionError("the application's own")


def status(request: Any, code: int) -> HttpResponse:
    return HttpResponse(status=code)


def caught(request: Any, code: int) -> HttpResponse:
    raise Caught(code)


def chunks() -> Iterator[str]:
    for number in range(3):
        with recorder.begin("chunk"):
            yield str(number)


async def chunks_async() -> AsyncIterator[str]:
    for chunk in chunks():
        yield chunk


def broken() -> Iterator[str]:
    yield "x" * 100
    raise ZeroDivisionError


async def broken_async() -> AsyncIterator[str]:
    for chunk in broken():
        yield chunk


def stream(request: Any) -> HttpResponse:
    return StreamingHttpResponse(chunks())


def broken_stream(request: Any) -> HttpResponse:
    return StreamingHttpResponse(broken())


class Asynchronous:
    """The views that are there twice, with the names that the kit looks for."""

    @staticmethod
    async def item(request: Any, id: int) -> HttpResponse:  # noqa: A002
        await asyncio.sleep(0)
        return item(request, id)

    @staticmethod
    async def boom(request: Any) -> HttpResponse:
        raise ZeroDivisionError("the application's own")

    @staticmethod
    async def caught(request: Any, code: int) -> HttpResponse:
        raise Caught(code)

    @staticmethod
    async def stream(request: Any) -> HttpResponse:
        return StreamingHttpResponse(chunks_async())

    @staticmethod
    async def broken_stream(request: Any) -> HttpResponse:
        return StreamingHttpResponse(broken_async())


def file(request: Any) -> HttpResponse:
    return FileResponse(io.BytesIO(b"file"), filename="x.txt")


def thing(request: Any, name: str) -> HttpResponse:
    return HttpResponse(name)


OTHER = [
    path("items", create),
    path("status/<int:code>", status),
    path("file", file),
    path("things/<str:name>", thing),
    re_path(r"^articles/(?P<year>[0-9]{4})/(?:page-(\d+)/)?$", lambda request, *_, **__: HttpResponse()),
    path(
        "v1/",
        include(
            [re_path(r"^orders/(?P<id>\d+)/$", thing, name="order"), path("<slug:shop>/", include([path("x", file)]))]
        ),
    ),
]


SYNC_VIEWS = [path("items/<int:id>", item), path("boom", boom), path("caught/<int:code>", caught)]
SYNC_STREAMS = [path("stream", stream), path("broken-stream", broken_stream)]
ASYNC_VIEWS = [
    path("items/<int:id>", Asynchronous.item),
    path("boom", Asynchronous.boom),
    path("caught/<int:code>", Asynchronous.caught),
]
ASYNC_STREAMS = [path("stream", Asynchronous.stream), path("broken-stream", Asynchronous.broken_stream)]
if django.VERSION < (4, 2):  # knows no asynchronous streams
    ASYNC_STREAMS = SYNC_STREAMS


# As ROOT_URLCONF takes them. In WSGI and ASGI the streams must be of the server's kind.
SYNC = (*SYNC_VIEWS, *SYNC_STREAMS, *OTHER)
ASYNC = (*ASYNC_VIEWS, *ASYNC_STREAMS, *OTHER)
ASYNC_IN_WSGI = (*ASYNC_VIEWS, *SYNC_STREAMS, *OTHER)
SYNC_IN_ASGI = (*SYNC_VIEWS, *ASYNC_STREAMS, *OTHER)


if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["django.contrib.staticfiles"],
        LOGGING_CONFIG=None,
        MIDDLEWARE=[f"{__name__}.{Catching.__name__}"],
        ROOT_URLCONF=SYNC,
        SECRET_KEY="test",
        STATIC_URL="/static/",
        USE_TZ=True,
    )
    django.setup()
