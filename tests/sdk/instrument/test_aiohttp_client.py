from __future__ import annotations

import asyncio
from inspect import iscoroutinefunction
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from contracts.http_client import HttpClientContract, Upstream
from fluoro.recorder import recorder
from fluoro.testing import Spans


async def read(session: aiohttp.ClientSession, url: str, **keywords: Any) -> None:
    async with session.get(url, **keywords) as response:
        await response.read()


class TestAiohttpClient(HttpClientContract):
    library = "aiohttp"
    timeout_error = asyncio.TimeoutError
    connection_error = aiohttp.ClientConnectorError

    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        async def run() -> int:
            # Only the answer may be late: on a busy machine connecting can take longer than a short limit.
            timeout = aiohttp.ClientTimeout(sock_read=timeout_s)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, url, headers=headers) as response,
            ):
                await response.read()
                return response.status

        return asyncio.run(run())

    def originals(self) -> list[Any]:
        return [vars(aiohttp.ClientSession)["_request"]]

    def test_stays_a_coroutine_function(self) -> None:
        assert iscoroutinefunction(aiohttp.ClientSession._request)

    def test_gathered_calls_are_siblings(self, server: Upstream, spans: Spans) -> None:
        async def run() -> None:
            async with aiohttp.ClientSession() as session:
                with recorder.begin_segment("GET /"):
                    await asyncio.gather(*(read(session, f"{server.url}/status/{200 + n}") for n in range(5)))

        asyncio.run(run())
        *calls, request = spans.take(6)
        assert {call.parent_id for call in calls} == {request.id}
        assert {call.http.status for call in calls if call.http} == {200, 201, 202, 203, 204}

    def test_a_cancelled_call_is_no_fault(self, server: Upstream, spans: Spans) -> None:
        async def run() -> None:
            async with aiohttp.ClientSession() as session:
                call = asyncio.ensure_future(session._request("GET", f"{server.url}/slow"))
                assert await asyncio.to_thread(server.arrived.wait, 10)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call

        asyncio.run(run())
        call = spans.one()
        assert (call.fault, call.error, call.cause) == (False, False, None)

    def test_raise_for_status_is_judged_by_the_status(self, server: Upstream, spans: Spans) -> None:
        async def run() -> None:
            async with aiohttp.ClientSession(raise_for_status=True) as session:
                with pytest.raises(aiohttp.ClientResponseError):
                    await session.get(f"{server.url}/status/404")

        asyncio.run(run())
        call = spans.one()
        assert (call.error, call.fault) == (True, False)
        assert call.http is not None
        assert call.http.status == 404
        assert call.cause is not None

    def test_the_body_may_be_read_after_the_span(self, server: Upstream, spans: Spans) -> None:
        async def run() -> bytes:
            async with aiohttp.ClientSession() as session, session.get(f"{server.url}/chunked") as response:
                assert spans.one().http is not None
                return await response.read()

        assert asyncio.run(run()) == b"twelve bytes"

    def test_urls_below_a_base_and_default_headers(self, server: Upstream, spans: Spans) -> None:
        async def run() -> None:
            mine = {"traceparent": "mine"}
            async with aiohttp.ClientSession(server.url, headers=mine) as session:
                await read(session, "/status/200", params={"token": "secret"}, headers=[("X-Other", "1")])
                await read(session, "/status/200", headers=mine)
            assert mine == {"traceparent": "mine"}

        asyncio.run(run())
        calls = spans.take(2)
        assert {call.http.url for call in calls if call.http} == {f"{server.url}/status/200"}
        assert [parent.id for parent in server.parents()] == [call.id for call in calls]
        assert server.seen[0][1]["x-other"] == "1"

    def test_misuse_fails_as_before(self, spans: Spans) -> None:
        async def run() -> None:
            async with aiohttp.ClientSession() as session:
                with pytest.raises((TypeError, ValueError)):
                    await session.get("http://127.0.0.1:9/", headers=[1, 2])  # type: ignore[arg-type]

        asyncio.run(run())
        spans.take()

    def test_of_a_websocket_the_handshake_is_the_span(self, spans: Spans) -> None:
        told: list[str] = []

        async def echo(request: web.Request) -> web.WebSocketResponse:
            told.append(request.headers["X-Amzn-Trace-Id"])
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(message.data)
            return socket

        async def run() -> None:
            application = web.Application()
            application.router.add_get("/echo", echo)
            runner = web.AppRunner(application)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            try:
                host, port = runner.addresses[0][:2]
                async with aiohttp.ClientSession() as session:
                    socket = await session.ws_connect(f"ws://{host}:{port}/echo")
                    await socket.send_str("hello")
                    assert (await socket.receive()).data == "hello"
                    await socket.close()
            finally:
                await runner.cleanup()

        asyncio.run(run())
        call = spans.one(lambda segment: segment.subsegment)
        spans.take()  # the server's, where that is patched too
        assert call.http is not None
        assert (call.operation, call.http.status) == ("GET", 101)
        assert f"Parent={call.id:016x}" in told[0]
