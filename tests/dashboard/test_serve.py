import argparse
import asyncio
import re
import socket

import httpx
import pytest
from starlette.applications import Starlette

from fluoro_dashboard import assets, cli, serve


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check(free_port, **changes):
    serve.check(
        **{"api": "http://127.0.0.1:4318", "host": "127.0.0.1", "port": free_port, "insecure": False, **changes}
    )


def test_defaults_can_be_served(free_port):
    check(free_port)
    check(free_port, host="localhost")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_an_address_others_can_reach_needs_insecure(free_port, host):
    with pytest.raises(serve.CannotServeError, match="--insecure"):
        check(free_port, host=host)


def test_insecure_allows_it(free_port):
    check(free_port, host="0.0.0.0", insecure=True)


@pytest.mark.parametrize("api", ["127.0.0.1:4318", "ftp://x", "http://", ""])
def test_an_api_that_is_no_url(free_port, api):
    with pytest.raises(serve.CannotServeError, match="--api"):
        check(free_port, api=api)


def test_a_taken_port_is_exit_2_and_says_what_to_write(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        parser = argparse.ArgumentParser()
        cli.add_arguments(parser)
        assert cli.main(parser.parse_args(["--port", str(port)])) == 2
        assert f"--port {port + 1}" in capsys.readouterr().err


class Routes:
    """Our own routes alone: Streamlit's application may exist once per process and is driven by the browser tests."""

    def get(self, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(Starlette(routes=serve.routes()))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.get(path)

        return asyncio.run(ask())


@pytest.fixture
def http():
    return Routes()


def test_health(http):
    assert http.get("/healthz").json() == {"status": "ok"}


def test_every_module_that_a_module_imports_is_served(http):
    base = f"{assets.ROUTE}/{assets.digest()}"
    todo, seen = ["service_map.js", "waterfall.js", "inspector.js", "histogram.js", "ranking.js", "series.js"], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        answer = http.get(f"{base}/{name}")
        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith("text/javascript")
        todo += re.findall(r'from "\./([^"]+)"', answer.text)
    assert "vendor/dagre.esm.js" in seen


@pytest.mark.parametrize("path", ["../serve.py", "..%2Fserve.py", "nothing.js", ""])
def test_nothing_else_is_served(http, path):
    assert http.get(f"{assets.ROUTE}/{assets.digest()}/{path}").status_code in (404, 307)


def test_an_old_hash_is_gone(http):
    assert http.get(f"{assets.ROUTE}/0000000000000000/dom.js").status_code == 404


def test_no_asset_points_to_another_host():
    for path in assets.DIRECTORY.rglob("*"):
        if path.suffix in (".js", ".css") and "vendor" not in path.parts:
            found = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text(encoding="utf-8")))
            assert found <= {"http://www.w3.org/2000/svg"}, path


def test_span_text_never_meets_a_html_parser():
    for path in assets.DIRECTORY.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), path
