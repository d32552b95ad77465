from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from inspect import getattr_static
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Response, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from opentelemetry import trace

from contracts.async_server import AsyncServerContract, leave_behind, wait
from contracts.broken_middleware import BrokenMiddleware
from contracts.http_server import Client, asked_in_order
from contracts.serve_asgi import serve_asgi
from fluoro.otel.provider import TracerProvider
from fluoro.recorder import recorder
from fluoro.testing import Spans


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{id}", response_class=PlainTextResponse)
    def item(id: int) -> str:  # noqa: A002  runs in a thread of the pool
        with recorder.begin("work"):
            return f"item {id}"

    @app.post("/items", status_code=201)
    async def create() -> None:
        return None

    @app.get("/boom")
    async def boom() -> None:
        raise ZeroDivisionError("the application's own")

    @app.get("/status/{code}")
    async def status(code: int) -> Response:
        return Response(status_code=code)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            for number in range(3):
                with recorder.begin("chunk"):
                    yield str(number)

        return StreamingResponse(chunks())

    @app.get("/broken-stream")
    async def broken() -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            yield "x"
            raise ZeroDivisionError

        return StreamingResponse(chunks())

    @app.get("/later")
    async def later() -> None:
        leave_behind()

    @app.get("/wait")
    async def waiting() -> None:
        await wait()

    @app.websocket("/talk/{room}")
    async def talk(websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        while True:
            text = await websocket.receive_text()
            if text == "boom":
                raise ZeroDivisionError
            if text != "ping":
                break
            with recorder.begin("talk"):
                await websocket.send_text("pong")
        await websocket.close(1011 if text == "bad" else 1000)

    app.add_middleware(BrokenMiddleware)
    orders = APIRouter(prefix="/orders")

    @orders.get("/{id}")
    async def order(id: int) -> int:  # noqa: A002
        return id

    app.include_router(orders, prefix="/v1")

    sub = FastAPI()

    @sub.get("/things/{name}")
    async def thing(name: str) -> str:
        return name

    app.mount("/sub", sub)
    return app


class TestFastAPI(AsyncServerContract):
    library = "fastapi"

    def serve(self) -> Any:
        return serve_asgi(application(), ws="wsproto")

    def originals(self) -> list[Any]:
        return [vars(FastAPI)["__call__"], getattr_static(APIRoute, "handle")]

    def test_its_own_telemetry_does_not_double_the_request(self, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
        provider = TracerProvider()
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
        with serve_asgi(application()) as port, closing(Client(port)) as ask:
            ask("GET", "/items/7")
        assert [segment.name for segment in spans.take(2)] == ["work", "shop"]

    def test_an_included_router_keeps_its_prefixes(self, ask: Client, spans: Spans) -> None:
        assert ask("GET", "/v1/orders/5")[0] == 200
        assert ask("GET", "/v1/orders/x")[0] == 422
        assert ask("DELETE", "/v1/orders/5")[0] == 405
        assert [request.operation for request in asked_in_order(spans.take(3))] == [
            "GET /v1/orders/{id}",
            "GET /v1/orders/{id}",
            "DELETE /v1/orders/{id}",
        ]
