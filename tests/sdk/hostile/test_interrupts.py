"""What a signal handler raises may arrive between any two steps of ours. Whatever was begun is not left current then: the
thread goes on, and everything it does later would hang below a call that is over.

A signal arrives when a call returns; so the exception is raised there, at one such point after another.
"""

from __future__ import annotations

import asyncio
import dis
import io
import signal
import sqlite3
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import flask
import httpx
import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import fluoro
from contracts.instrumented import instrumented
from fluoro.instrument import _patch
from fluoro.recorder import recorder
from fluoro.testing import Spans


class _Interrupt(BaseException):
    pass


class _Injector:
    """Raises at the `at`-th point in code of ours. `hit` says whether there were that many."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.seen = 0
        self.hit = False
        self._last: dict[int, str] = {}

    def call(self, frame: FrameType, event: str, argument: object) -> Any:  # noqa: ARG002  the shape of a trace function
        if "/sdk/fluoro/" not in frame.f_code.co_filename.replace("\\", "/") or self.hit:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self.opcode

    def opcode(self, frame: FrameType, event: str, argument: object) -> Any:  # noqa: ARG002
        if event == "opcode" and not self.hit:
            before = self._last.get(id(frame), "")
            now = self._last[id(frame)] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith("CALL") and now != "NOP":  # a NOP may lie outside of the `try` that the call is in
                self.seen += 1
                if self.seen == self.at:
                    self.hit = True
                    raise _Interrupt
        return self.opcode


def interrupted_everywhere(work: Callable[[], object]) -> int:
    """Do `work` once for each point, interrupted there; how many points there were."""
    work()
    at = 0
    while True:
        at += 1
        injector = _Injector(at)
        before = sys.gettrace()
        sys.settrace(injector.call)
        try:
            work()
        except _Interrupt:
            pass
        finally:
            sys.settrace(before)
        assert recorder.current() is None, f"left open at point {at}"
        if not injector.hit:
            return at


class _Stub(BaseAdapter):
    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url or ""
        response.raw = io.BytesIO()
        return response

    def close(self) -> None:
        pass


def _requests() -> Callable[[], object]:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", _Stub())
    request = requests.Request("GET", "http://stock/items")
    return lambda: session.send(request.prepare())


def _httpx() -> Callable[[], object]:
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200)), trust_env=False)
    return lambda: client.get("http://stock/items")


def _urllib3() -> Callable[[], object]:
    pool = urllib3.HTTPConnectionPool("stock")
    pool._make_request = lambda *_, **__: urllib3.HTTPResponse(b"", status=200, preload_content=False)  # type: ignore[assignment,return-value]
    return lambda: pool.urlopen("GET", "/items")


def _sqlite3() -> Callable[[], object]:
    connection = sqlite3.connect(":memory:")

    def ask() -> object:
        return connection.execute("SELECT 1")

    weakref.finalize(ask, connection.close)
    return ask


def _flask() -> Callable[[], object]:
    application = flask.Flask("shop")
    application.add_url_rule("/orders/<int:id>", view_func=lambda **_: "done", endpoint="order")

    def ask() -> None:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/orders/7",
            "SERVER_NAME": "shop",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
        }
        body = application(environ, lambda *_: lambda _: None)
        try:
            list(body)
        finally:
            body.close()  # type: ignore[attr-defined]

    return ask


def _starlette() -> Callable[[], object]:
    async def order(_: object) -> PlainTextResponse:
        return PlainTextResponse("done")

    application = Starlette(routes=[Route("/orders/{id}", order)])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        pass

    def ask() -> None:
        scope = {"type": "http", "method": "GET", "path": "/orders/7", "headers": [], "query_string": b""}
        running = application(scope, receive, send)
        try:
            running.send(None)
        except StopIteration:
            pass
        finally:
            running.close()

    return ask


def _span() -> Callable[[], object]:
    def work() -> None:
        with fluoro.span("outer"), fluoro.span("inner"):
            pass

    return work


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("library", "make"),
    [
        ("requests", _requests),
        ("httpx", _httpx),
        ("urllib3", _urllib3),
        ("sqlite3", _sqlite3),
        ("flask", _flask),
        ("starlette", _starlette),
        ("", _span),
    ],
    ids=["requests", "httpx", "urllib3", "sqlite3", "flask", "starlette", "span"],
)
def test_nothing_stays_current_wherever_it_is_interrupted(
    library: str, make: Callable[[], Callable[[], object]], spans: Spans
) -> None:
    with instrumented(*([library] if library else [])):
        # Since Python 3.12 a trace function hears of few opcodes.
        assert interrupted_everywhere(make()) > (15 if sys.version_info < (3, 12) else 0)
    spans.take()


class _Late(Exception):
    """What a time limit raises."""


@contextmanager
def time_limit() -> Iterator[None]:
    def handler(number: int, frame: FrameType | None) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


class _Library:
    def call(self) -> str:
        return "done"


@pytest.fixture
def library() -> Iterator[type[_Library]]:
    yield _Library
    _patch.undo_all()


def test_a_time_limit_that_strikes_inside_our_code_is_not_taken_for_a_bug_of_ours(
    library: type[_Library], spans: Spans
) -> None:
    def before(_: object) -> fluoro.recorder.Span:
        span = recorder.begin("call")
        signal.raise_signal(signal.SIGALRM)
        return span

    _patch.around(library, "call", before, lambda span, *_: span.end())
    with time_limit(), pytest.raises(_Late):
        library().call()
    assert recorder.current() is None


def test_a_bug_before_or_after_the_call_leaves_no_span_current(
    library: type[_Library], spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fluoro.diagnostics.strict", False)

    def broken(_: object) -> fluoro.recorder.Span:
        recorder.begin("never returned")
        raise ZeroDivisionError

    _patch.around(library, "call", broken, lambda *_: None)
    assert library().call() == "done"
    assert recorder.current() is None
    _patch.undo_all()
    _patch.around(library, "call", lambda _: recorder.begin("call"), lambda *_: 1 / 0)
    assert library().call() == "done"
    assert recorder.current() is None
    assert spans.one().operation == "call"  # without what could not be read


def test_near_the_limit_of_the_stack_only_the_applications_own_error_is_seen(
    library: type[_Library], spans: Spans
) -> None:
    def before(_: object) -> fluoro.recorder.Span:
        return recorder.begin("call")

    def dive(deeper: int) -> str:
        return library().call() if deeper == 0 else dive(deeper - 1)

    _patch.around(library, "call", before, lambda span, *_: span.end())
    outcomes = set()
    for deep in range(sys.getrecursionlimit() - 120, sys.getrecursionlimit()):
        try:
            outcomes.add(dive(deep))
        except RecursionError:
            outcomes.add("too deep")
        assert recorder.current() is None
    assert outcomes == {"done", "too deep"}
    spans.take()


def test_an_interrupted_task_leaves_nothing_to_the_next(spans: Spans) -> None:
    async def main() -> None:
        async def work() -> None:
            with fluoro.span("work"):
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert recorder.current() is None

    asyncio.run(main())
    assert not spans.one().fault
