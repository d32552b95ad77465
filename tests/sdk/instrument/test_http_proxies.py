"""Calls through a proxy: the span names the host behind it, by whichever library and in whichever way."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import aiohttp
import httpx
import pytest
import requests
import urllib3

from contracts.http_client import Upstream, upstream
from contracts.instrumented import instrumented
from fluoro.testing import Spans
from servers.certificate import make_certificate, server_context
from servers.proxy import Proxy, proxy

LIBRARIES = ("http.client", "urllib", "urllib3", "requests", "httpx", "aiohttp")

Call = Callable[[str, str, Path], int]


def by_http_client(url: str, through: str, authority: Path) -> int:
    asked, via = urlsplit(url), urlsplit(through)
    if asked.scheme == "http":
        connection = http.client.HTTPConnection(via.netloc, timeout=10)
        path = url
    else:
        context = ssl.create_default_context(cafile=authority)
        connection = http.client.HTTPSConnection(via.netloc, timeout=10, context=context)
        connection.set_tunnel(asked.hostname or "", asked.port)
        path = asked.path
    connection.request("GET", path)
    with connection.getresponse() as response:
        response.read()
        connection.close()
        return response.status


def by_urllib(url: str, through: str, authority: Path) -> int:
    handler = HTTPSHandler(context=ssl.create_default_context(cafile=authority))
    opener = build_opener(ProxyHandler({"http": through, "https": through}), handler)
    with opener.open(url, timeout=10) as response:
        response.read()
        return int(response.status)


def by_urllib3(url: str, through: str, authority: Path) -> int:
    with urllib3.ProxyManager(through, ca_certs=str(authority)) as manager:
        return manager.request("GET", url).status


def by_requests(url: str, through: str, authority: Path) -> int:
    proxies = {"http": through, "https": through}
    return requests.get(url, proxies=proxies, verify=str(authority), timeout=10).status_code


def by_httpx(url: str, through: str, authority: Path) -> int:
    with httpx.Client(proxy=through, verify=ssl.create_default_context(cafile=authority)) as client:
        return client.get(url).status_code


def by_aiohttp(url: str, through: str, authority: Path) -> int:
    async def run() -> int:
        context = ssl.create_default_context(cafile=authority)
        async with aiohttp.ClientSession() as session, session.get(url, proxy=through, ssl=context) as response:
            await response.read()
            return response.status

    return asyncio.run(run())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module", params=["http", "https"])
def server(request: pytest.FixtureRequest, certificate: Path) -> Iterator[Upstream]:
    with upstream(server_context(certificate) if request.param == "https" else None) as server:
        yield server


@pytest.fixture(scope="module")
def middle() -> Iterator[Proxy]:
    with proxy() as middle:
        yield middle


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    with instrumented(*LIBRARIES):
        yield


@pytest.mark.parametrize("call", [by_http_client, by_urllib, by_urllib3, by_requests, by_httpx, by_aiohttp])
def test_the_span_names_the_target(
    call: Call, server: Upstream, middle: Proxy, certificate: Path, spans: Spans
) -> None:
    server.seen.clear()
    middle.asked.clear()
    middle.headers.clear()
    assert call(f"{server.url}/status/200", middle.url, certificate) == 200
    found = spans.one()
    assert found.http is not None
    assert (found.name, found.http.url, found.http.status) == (server.name, f"{server.url}/status/200", 200)
    assert [parent.id for parent in server.parents()] == [found.id]
    if server.scheme == "https":
        assert middle.asked == [f"CONNECT {server.name}"]
        assert "x-amzn-trace-id" not in middle.headers[0]
    else:
        assert middle.asked == [f"GET {server.url}/status/200"]
