from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClient, HTTPClientError, HTTPRequest

from contracts.http_client import HttpClientContract, Upstream
from fluoro.recorder import recorder
from fluoro.testing import Spans


class TestTornadoClient(HttpClientContract):
    library = "tornado"
    timeout_error = HTTPClientError
    errors_have_a_stack = False  # Tornado makes them and hands them over, nothing raises them before `await`
    connection_error = ConnectionRefusedError

    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        return asyncio.run(self.fetch(method, url, timeout_s, headers))

    async def fetch(self, method: str, url: str, timeout_s: float, headers: dict[str, str] | None) -> int:
        body = b"" if method == "POST" else None
        request = HTTPRequest(url, method, headers, body, connect_timeout=10, request_timeout=timeout_s)
        return (await AsyncHTTPClient(force_instance=True).fetch(request, raise_error=False)).code

    def originals(self) -> list[Any]:
        return [vars(AsyncHTTPClient)["fetch"]]

    def test_it_returns_a_future_and_nothing_is_current(self, server: Upstream, spans: Spans) -> None:
        async def run() -> None:
            client = AsyncHTTPClient(force_instance=True)
            with recorder.begin_segment("GET /") as entry:
                future = client.fetch(f"{server.url}/status/200")
                assert isinstance(future, asyncio.Future)
                assert recorder.current() is entry
                assert (await future).code == 200

        asyncio.run(run())
        call, request = spans.take(2)
        assert call.parent_id == request.id

    def test_gathered_calls_are_siblings(self, server: Upstream, spans: Spans) -> None:
        """More than there are slots, with redirects: what waits is sent from within another call's context."""

        async def run() -> None:
            client = AsyncHTTPClient(force_instance=True, max_clients=2)
            with recorder.begin_segment("GET /"):
                await asyncio.gather(*(client.fetch(f"{server.url}/redirect") for _ in range(5)))

        asyncio.run(run())
        *calls, request = spans.take(6)
        assert {call.parent_id for call in calls} == {request.id}
        told = [parent.id for parent in server.parents()]
        assert sorted(told) == sorted([call.id for call in calls] * 2)

    def test_errors_that_are_answers_are_judged_by_their_status(self, server: Upstream, spans: Spans) -> None:
        async def run() -> None:
            with pytest.raises(HTTPClientError):
                await AsyncHTTPClient(force_instance=True).fetch(f"{server.url}/status/404")

        asyncio.run(run())
        call = spans.one()
        assert (call.error, call.fault, call.cause) == (True, False, None)
        assert call.http is not None
        assert (call.http.status, call.http.content_length) == (404, 12)

    def test_an_error_that_nobody_handled_is_still_reported(self, server: Upstream, spans: Spans) -> None:
        reported: list[str] = []

        async def run() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
            future = AsyncHTTPClient(force_instance=True).fetch(f"{server.url}/status/404")
            await asyncio.wait([future])
            del future

        asyncio.run(run())
        spans.one()
        assert reported == ["Future exception was never retrieved"]

    def test_a_cancelled_call_is_no_fault(self, server: Upstream, spans: Spans) -> None:
        async def run() -> None:
            future = AsyncHTTPClient(force_instance=True).fetch(f"{server.url}/slow")
            assert await asyncio.to_thread(server.arrived.wait, 10)
            future.cancel()
            with pytest.raises(asyncio.CancelledError):
                await future
            server.released.set()

        asyncio.run(run())
        call = spans.one()
        assert (call.fault, call.error, call.cause) == (False, False, None)

    def test_a_request_fetched_twice_is_two_spans(self, server: Upstream, spans: Spans) -> None:
        async def run() -> None:
            client = AsyncHTTPClient(force_instance=True)
            request = HTTPRequest(f"{server.url}/redirect")
            for _ in range(2):
                assert (await client.fetch(request)).request is request

        asyncio.run(run())
        told = [parent.id for parent in server.parents()]
        assert [call.id for call in spans.take(2)] == [told[0], told[2]]

    def test_misuse_fails_as_before(self, spans: Spans) -> None:
        async def run() -> None:
            client = AsyncHTTPClient(force_instance=True)
            with pytest.raises(ValueError, match="kwargs"):
                await client.fetch(HTTPRequest("http://127.0.0.1/"), method="GET")
            with pytest.raises(TypeError):
                await client.fetch("http://127.0.0.1/", nonsense=1)
            assert spans.take() == []
            client.close()
            with pytest.raises(RuntimeError, match="closed"):
                await client.fetch("http://127.0.0.1/")
            spans.one()

        asyncio.run(run())


class TestTornadoBlockingClient(TestTornadoClient):
    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        client = HTTPClient()
        try:
            body = b"" if method == "POST" else None
            request = HTTPRequest(url, method, headers, body, connect_timeout=10, request_timeout=timeout_s)
            return client.fetch(request, raise_error=False).code
        finally:
            client.close()
