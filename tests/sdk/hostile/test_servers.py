"""A client that means harm, over a socket: what it sends costs a request at most, and names nothing of ours."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import flask
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from werkzeug.serving import make_server

from contracts.instrumented import instrumented
from fluoro.encoder import encode_batch
from fluoro.model import Resource
from fluoro.testing import Spans
from fluoro_collector.decode import native

ROOT = b"Root=1-5759e988-bd862e3fe1be46a994272793"
W3C = b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"
TRACE_HEADERS = [
    ROOT + b";Sampled=?;Lineage=\xff\xfe",
    ROOT + b";Sampled=?;Evil=a\tb",
    ROOT + b";Sampled=?;" + b"A=b;" * 10_000,
    ROOT + b";Root=x;Sampled=?",
    ROOT + b';Sampled=?;Lineage="><script>',
    b";;;;===",
    b"Root=;Sampled=?",
    b"Root=1-00000000-000000000000000000000000;Sampled=?",
    "Root=1-\u0665759e988-bd862e3fe1be46a994272793;Sampled=?".encode(),
    b"x" * 60_000,
]
OTHER_HEADERS = [
    b"traceparent: " + W3C + b"\xff",
    b"traceparent: " + W3C.replace(b"1" * 32, "\uff11".encode() * 32),
    b"traceparent: " + b"-" * 55,
    b"traceparent: " + W3C + b"\r\ntracestate: " + b"x" * 9_000,
    b"traceparent: " + W3C + b"\r\ntracestate: a=\xff",
    b"X-Forwarded-For: " + b"1.2.3.4, " * 5_000,
    b"X-Forwarded-For: \xff\xfe",
    b"User-Agent: \xff" + b"u" * 60_000,
    b"Host: other\r\nHost: third",
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 999\r\nSec-WebSocket-Key: x",
]
ECHO = re.compile(rb"(?im)^x-amzn-trace-id: *(.*?)\r$")


@contextmanager
def flask_server() -> Iterator[int]:
    application = flask.Flask("shop")
    application.add_url_rule("/orders/<id>", view_func=lambda **_: "done", endpoint="order")
    chunks = lambda: application.response_class(b"x" * 10_000 for _ in range(2_000))  # noqa: E731
    application.add_url_rule("/stream", view_func=chunks, endpoint="stream")
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def starlette_server() -> Iterator[int]:
    async def order(_: object) -> PlainTextResponse:
        return PlainTextResponse("done")

    async def stream(_: object) -> StreamingResponse:
        return StreamingResponse(b"x" * 10_000 for _ in range(2_000))

    application = Starlette(routes=[Route("/orders/{id}", order), Route("/stream", stream)])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="critical", http="h11"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


SERVERS = {"flask": flask_server, "starlette": starlette_server}


def send(port: int, data: bytes) -> bytes:
    """All that the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        answer = b""
        with suppress(ConnectionError):
            connection.sendall(data)
            while received := connection.recv(65_536):
                answer += received
        return answer


def request(line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: shop", b"Connection: close", *headers, b"", b""])


def leave_in_the_middle(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request(b"GET /stream"))
        connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closes with a reset


@pytest.fixture(params=SERVERS)
def port(request: pytest.FixtureRequest, spans: Spans) -> Iterator[int]:
    with instrumented(request.param), SERVERS[request.param]() as port:
        yield port


def taken(spans: Spans) -> list[Any]:
    """Their segments, none of which the collector refuses."""
    found = spans.take()
    body, lost = encode_batch(Resource("shop"), found)
    assert (lost, native.decode(body).rejections) == (0, [])
    return found


def test_only_our_own_words_are_sent_back(port: int, spans: Spans) -> None:
    echoes = []
    for header in TRACE_HEADERS:
        answer = send(port, request(b"GET /orders/7", b"X-Amzn-Trace-Id: " + header))
        assert answer.startswith(b"HTTP/1.")
        echoes += ECHO.findall(answer)
    assert echoes
    assert all(re.fullmatch(rb"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Sampled=[01]", echo) for echo in echoes)
    for header in OTHER_HEADERS:
        assert send(port, request(b"GET /orders/7", header)).startswith(b"HTTP/1.")
    taken(spans)


def test_a_stranger_cannot_invent_operations(port: int, spans: Spans) -> None:
    for number in range(12):
        for line in (
            b"M%d /orders/7",
            b"GET /none/%d",
            b"GET /orders/%d%%00%%ff",
            b"GET http://host%d/",
            b"GET /\xff%d",
        ):
            send(port, request(line.replace(b"%d", b"%d" % number)))
    operations = {segment.operation for segment in taken(spans)}
    assert operations <= {"GET /orders/{id}", "OTHER /orders/{id}", "GET unmatched", "OTHER unmatched"}


def test_pipelines_garbage_and_clients_that_vanish_leave_nothing_open(port: int, spans: Spans) -> None:
    send(port, request(b"GET /orders/7").replace(b"Connection: close\r\n", b"") * 5 + request(b"GET /orders/7"))
    send(port, b"\x16\x03\x01garbage\r\n\r\n")
    leave_in_the_middle(port)
    spans.one(lambda segment: segment.operation == "GET /stream", timeout_s=20)
    assert {segment.operation for segment in taken(spans)} <= {"GET /orders/{id}", "GET unmatched", "OTHER unmatched"}
