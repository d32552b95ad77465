"""All HTTP libraries patched at once, as in a real process: however they call each other, a call is one span."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import aiohttp
import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from contracts.http_client import Upstream, upstream
from contracts.instrumented import instrumented
from fluoro.recorder import recorder
from fluoro.testing import Spans

LIBRARIES = ("http.client", "urllib", "urllib3", "requests", "httpx", "aiohttp", "tornado")


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    with instrumented(*LIBRARIES):
        yield


def by_http_client(url: str) -> int:
    connection = http.client.HTTPConnection(url.split("/")[2])
    connection.request("GET", "/" + url.split("/", 3)[3])
    with connection.getresponse() as response:
        response.read()
    connection.close()
    return response.status


def by_urllib(url: str) -> int:
    with urlopen(url) as response:
        return int(response.status)


def by_urllib3(url: str) -> int:
    with urllib3.PoolManager() as manager:
        return manager.request("GET", url).status


def by_aiohttp(url: str) -> int:
    async def run() -> int:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status

    return asyncio.run(run())


ALL = {
    "aiohttp": by_aiohttp,
    "http.client": by_http_client,
    "httpx": lambda url: httpx.get(url, follow_redirects=True).status_code,
    "requests": lambda url: requests.get(url, timeout=10).status_code,
    "urllib": by_urllib,
    "urllib3": by_urllib3,
}


@pytest.mark.parametrize("library", list(ALL))
def test_a_call_is_one_span(library: str, server: Upstream, spans: Spans) -> None:
    with recorder.begin_segment("GET /") as entry:
        assert ALL[library](f"{server.url}/status/200") == 200
    call, _ = spans.take(2)
    assert (call.name, call.parent_id) == (server.name, entry.segment.id)
    assert [parent.id for parent in server.parents()] == [call.id]


@pytest.mark.parametrize("library", [name for name in ALL if name != "http.client"])
def test_a_redirected_call_is_one_span(library: str, server: Upstream, spans: Spans) -> None:
    assert ALL[library](f"{server.url}/redirect") == 200
    call = spans.one()
    assert [parent.id for parent in server.parents()] == [call.id, call.id]


def test_retries_of_the_layer_below_are_counted_in_the_outermost_span(server: Upstream, spans: Spans) -> None:
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=urllib3.Retry(3, status_forcelist=[503], backoff_factor=0)))
        assert session.get(f"{server.url}/flaky").status_code == 200
    call = spans.one()
    assert call.metadata == {"http": {"retries": 2}}
    assert {parent.id for parent in server.parents()} == {call.id}


def test_a_streamed_upload_is_one_span(server: Upstream, spans: Spans) -> None:
    with requests.Session() as session:
        headers = {"Content-Length": "6"}
        assert session.post(f"{server.url}/status/200", data=iter([b"abc", b"def"]), headers=headers).ok
    assert spans.one().operation == "POST"


def test_a_token_fetched_in_between_is_a_call_of_its_own(server: Upstream, spans: Spans) -> None:
    class Token(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.register_hook("response", self.again)
            return request

        def again(self, response: requests.Response, **_: Any) -> requests.Response:
            by_urllib(f"{server.url}/status/201")
            return response

    assert requests.get(f"{server.url}/status/200", auth=Token(), timeout=10).status_code == 200
    token, call = spans.take(2)
    assert token.parent_id == call.id
    assert [parent.id for parent in server.parents()] == [call.id, token.id]
