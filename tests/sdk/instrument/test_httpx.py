from __future__ import annotations

import asyncio
from inspect import iscoroutinefunction
from typing import Any

import httpx
import pytest

from contracts.http_client import HttpClientContract, Upstream
from fluoro.recorder import recorder
from fluoro.testing import Spans


def waiting(read_s: float) -> httpx.Timeout:
    """Only the answer may be late: on a busy machine connecting can take longer than a short limit, another error."""
    return httpx.Timeout(10, read=read_s)


class TestHttpx(HttpClientContract):
    library = "httpx"
    timeout_error = httpx.ReadTimeout
    connection_error = httpx.ConnectError

    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        with httpx.Client(timeout=waiting(timeout_s), follow_redirects=True, trust_env=False) as client:
            return client.request(method, url, headers=headers).status_code

    def originals(self) -> list[Any]:
        return [vars(httpx.Client)["send"], vars(httpx.AsyncClient)["send"]]

    def test_streaming_ends_with_the_headers(self, server: Upstream, spans: Spans) -> None:
        with httpx.Client(trust_env=False) as client, client.stream("GET", f"{server.url}/status/200") as response:
            spans.one()
            assert response.read() == b"twelve bytes"


class TestAsyncHttpx(TestHttpx):
    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        async def run() -> int:
            async with httpx.AsyncClient(timeout=waiting(timeout_s), follow_redirects=True, trust_env=False) as client:
                return (await client.request(method, url, headers=headers)).status_code

        return asyncio.run(run())

    def test_stays_a_coroutine_function(self) -> None:
        assert iscoroutinefunction(httpx.AsyncClient.send)
        assert not iscoroutinefunction(httpx.Client.send)

    def test_gathered_calls_are_siblings(self, server: Upstream, spans: Spans) -> None:
        async def run() -> None:
            async with httpx.AsyncClient(trust_env=False) as client:
                with recorder.begin_segment("GET /"):
                    await asyncio.gather(*(client.get(f"{server.url}/status/{200 + number}") for number in range(5)))

        asyncio.run(run())
        *calls, request = spans.take(6)
        assert {call.parent_id for call in calls} == {request.id}
        assert len({call.id for call in calls}) == 5

    def test_a_cancelled_call_is_no_fault(self, server: Upstream, spans: Spans) -> None:
        async def run() -> None:
            async with httpx.AsyncClient(trust_env=False) as client:
                await asyncio.wait_for(client.get(f"{server.url}/slow"), 0.05)

        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(run())
        call = spans.one()
        assert (call.error, call.fault, call.cause) == (False, False, None)
