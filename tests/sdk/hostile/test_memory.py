"""What strangers and long lives bring must not stay in memory."""

from __future__ import annotations

import asyncio
import gc
import importlib
import io
import pkgutil
import sqlite3
import sys
import tracemalloc
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import _lru_cache_wrapper
from typing import Any

import flask
import pytest

import fluoro
import fluoro.instrument
from contracts.instrumented import instrumented
from fluoro.instrument import _http, _sql_text
from fluoro.recorder import recorder


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "sink", lambda _: None)


def growth(work: Callable[[int], object], times: int) -> int:
    """Bytes that `times` calls leave behind, after as many that fill what may be filled."""
    for number in range(times):
        work(number)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(times, 2 * times):
            work(number)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def shop() -> Callable[[int], None]:
    application = flask.Flask("shop")
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    weakref.finalize(application, connection.close)

    def order(id: str) -> str:  # noqa: A002  the route's
        with fluoro.span("price"):
            fluoro.annotate("order", id)
            connection.execute(f"SELECT '{id}'")
        return "done"

    application.add_url_rule("/orders/<id>", view_func=order)

    def ask(number: int) -> None:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": f"GET{number}" if number % 2 else "GET",
            "PATH_INFO": f"/orders/{number}" if number % 3 else f"/none/{number}",
            "HTTP_HOST": f"host{number}",
            "HTTP_X_AMZN_TRACE_ID": f"Root=1-5759e988-{number:024x};X{number}=1",
            "SERVER_NAME": "shop",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
        }
        body: Any = application(environ, lambda *_: lambda _: None)
        list(body)
        body.close()

    return ask


@pytest.mark.parametrize(
    ("requests", "most"), [(700, 300_000), pytest.param(50_000, 300_000, marks=pytest.mark.matrix)], ids=["few", "many"]
)
def test_requests_leave_nothing_behind(requests: int, most: int) -> None:
    with instrumented("flask", "sqlite3"):
        assert growth(shop(), requests) < most


def test_a_task_that_lives_long_keeps_none_of_its_spans() -> None:
    async def main() -> int:
        async def step(number: int) -> None:
            with fluoro.span("step"):
                fluoro.metadata("number", number)

        async def link(left: int) -> None:
            with fluoro.span("link"):
                await step(left)
                if left:
                    following.append(asyncio.create_task(link(left - 1)))

        following: list[asyncio.Task[None]] = [asyncio.create_task(link(400))]
        while following:
            await following.pop()
        gc.collect()
        return sum(type(item).__name__ == "Span" for item in gc.get_objects())

    assert asyncio.run(main()) < 20


def test_every_cache_has_a_bound() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries as they are imported
        for found in pkgutil.iter_modules(fluoro.instrument.__path__, "fluoro.instrument."):
            with suppress(ModuleNotFoundError):  # a library that is not installed here
                importlib.import_module(found.name)
    endless = [
        f"{module.__name__}.{name}"
        for module in list(sys.modules.values())
        if module.__name__.startswith("fluoro.")
        for name, value in vars(module).items()
        if isinstance(value, _lru_cache_wrapper) and value.cache_parameters()["maxsize"] is None
    ]
    assert not endless


def test_a_cache_holds_no_long_texts() -> None:
    def work(number: int) -> None:
        _http.target(f"http://{number}" + "h" * 20_000)
        _sql_text.statement(f"SELECT {number} FROM t{number} WHERE a = '" + "x" * 20_000 + "'", "postgresql")

    assert growth(work, 1_500) < 10_000_000  # 512 statements of at most 16,384 characters
