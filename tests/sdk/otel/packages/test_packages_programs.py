"""Commands, templates and tasks."""

from __future__ import annotations

import asyncio

import pytest

import fluoro

pytestmark = [pytest.mark.packages, pytest.mark.filterwarnings("default")]  # the packages' own


def test_click(otel, library):
    click = library("click", "click")
    from click.testing import CliRunner

    @click.command()
    def ship() -> None:
        with fluoro.span("work"):
            pass

    assert CliRunner().invoke(ship).exit_code == 0
    work, command = otel.take(2)
    assert (command.operation, command.subsegment, work.parent_id) == ("ship", False, command.id)


def test_asyncclick(otel, library):
    asyncclick = library("asyncclick", "asyncclick")

    @asyncclick.command()
    async def ship() -> None:
        with fluoro.span("work"):
            await asyncio.sleep(0)

    asyncio.run(ship.main([], "ship", standalone_mode=False))
    work, command = otel.take(2)
    assert (command.operation, work.parent_id) == ("ship", command.id)


def test_httpx2(otel, library, server):
    httpx2 = library("httpx2", "httpx2")
    with fluoro.span("pay"), httpx2.Client() as client:
        sent = client.get(server).request
    call, pay = otel.take(2)
    assert (call.name, call.http.status, call.parent_id) == (f"127.0.0.1:{sent.url.port}", 200, pay.id)
    assert f"Parent={call.id:016x}" in sent.headers["x-amzn-trace-id"]


def test_jinja2(otel, library):
    jinja2 = library("jinja2", "jinja2")
    with fluoro.span("page"):
        assert jinja2.Environment(autoescape=True).from_string("{{ n }}").render(n=7) == "7"
    *steps, page = otel.take(3)
    assert [step.name for step in steps] == ["jinja2.compile", "jinja2.render"]
    assert {step.parent_id for step in steps} == {page.id}


def test_asyncio(otel, library, monkeypatch):
    # It does nothing unless told to.
    from fluoro import instrument

    assert instrument.register["otel:asyncio"].startswith("no OTEL_PYTHON_ASYNCIO_")
    instrument.uninstall()
    monkeypatch.setenv("OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES_TO_TRACE", "work")
    instrument.install((), lambda: True)
    library("asyncio", "asyncio")

    async def work() -> None:
        pass

    async def main() -> None:
        with fluoro.span("main"):
            await asyncio.gather(work(), work())

    asyncio.run(main())
    *tasks, outer = otel.take(3)
    assert [(task.name, task.parent_id) for task in tasks] == [("asyncio coro-work", outer.id)] * 2
