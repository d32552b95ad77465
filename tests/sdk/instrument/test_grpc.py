"""gRPC's blocking client and server, against each other over TCP."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc._channel
import pytest

from contracts.rpc import SERVICE, RpcContract, calls, outcome, path_of
from fluoro.instrument._rpc import target_name
from fluoro.recorder import recorder
from fluoro.testing import Spans


def echo_unary_unary(request: bytes, _context: Any) -> bytes:
    return request


def echo_unary_stream(request: bytes, _context: Any) -> Iterator[bytes]:
    yield request


def echo_stream_unary(requests: Iterator[bytes], _context: Any) -> bytes:
    return b"".join(requests)


def echo_stream_stream(requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
    yield from requests


def refuse(request: bytes, context: Any) -> bytes:
    context.abort(grpc.StatusCode[request.decode()], "no such card")
    raise AssertionError("abort raises")


def break_down(_request: bytes, _context: Any) -> bytes:
    raise ValueError("no such card")


def break_later(request: bytes, _context: Any) -> Iterator[bytes]:
    yield request
    raise ValueError("no such card")


def set_status(request: bytes, context: Any) -> bytes:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    return request


def metadata(_request: bytes, context: Any) -> bytes:
    return "\n".join(f"{key}={value}" for key, value in context.invocation_metadata()).encode()


def forever(request: bytes, context: Any) -> Iterator[bytes]:
    left = threading.Event()
    context.add_callback(left.set)
    yield request
    yield request
    left.wait(10)


def work(request: bytes, _context: Any) -> bytes:
    with recorder.begin("work"):
        return request


def work_stream(request: bytes, _context: Any) -> Iterator[bytes]:
    with recorder.begin("work"):
        yield request
    with recorder.begin("work"):
        yield request


HANDLERS = {
    "Echo_unary_unary": grpc.unary_unary_rpc_method_handler(echo_unary_unary),
    "Echo_unary_stream": grpc.unary_stream_rpc_method_handler(echo_unary_stream),
    "Echo_stream_unary": grpc.stream_unary_rpc_method_handler(echo_stream_unary),
    "Echo_stream_stream": grpc.stream_stream_rpc_method_handler(echo_stream_stream),
    "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
    "Break": grpc.unary_unary_rpc_method_handler(break_down),
    "BreakLater": grpc.unary_stream_rpc_method_handler(break_later),
    "Set": grpc.unary_unary_rpc_method_handler(set_status),
    "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
    "Forever": grpc.unary_stream_rpc_method_handler(forever),
    "Work": grpc.unary_unary_rpc_method_handler(work),
    "WorkStream": grpc.unary_stream_rpc_method_handler(work_stream),
}
EXPORT = {"Export": grpc.unary_unary_rpc_method_handler(echo_unary_unary)}


@contextmanager
def serving(**options: Any) -> Iterator[str]:
    """The address of a server that is made now, and so instrumented if gRPC is."""
    handlers = (
        grpc.method_handlers_generic_handler(SERVICE, HANDLERS),
        grpc.method_handlers_generic_handler("opentelemetry.proto.collector.trace.v1.TraceService", EXPORT),
    )
    with futures.ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads, handlers=handlers, **options)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


def call(channel: Any, method: str, requests: Sequence[bytes], kind: str, answers: int, **options: Any) -> list[bytes]:
    stub = getattr(channel, kind)(path_of(method))
    answer = stub(iter(requests) if kind.startswith("stream") else requests[0], **options)
    if kind.endswith("unary"):
        return [answer]
    if answers < 0:
        return list(answer)
    found = [next(answer) for _ in range(answers)]
    answer.cancel()
    return found


class TestGrpc(RpcContract):
    def originals(self) -> list[Any]:
        library: Any = grpc._channel
        return [
            grpc.server,
            library._UnaryUnaryMultiCallable.__call__,
            library._UnaryUnaryMultiCallable.with_call,
            library._UnaryUnaryMultiCallable.future,
            library._UnaryStreamMultiCallable.__call__,
            library._SingleThreadedUnaryStreamMultiCallable.__call__,
            library._StreamUnaryMultiCallable.__call__,
            library._StreamUnaryMultiCallable.with_call,
            library._StreamUnaryMultiCallable.future,
            library._StreamStreamMultiCallable.__call__,
        ]

    def exchange(
        self, method: str, requests: Sequence[bytes], kind: str = "unary_unary", *, answers: int = -1, **options: Any
    ) -> list[bytes]:
        with serving() as address, grpc.insecure_channel(address) as channel:
            return call(channel, method, requests, kind, answers, **options)

    def test_the_other_ways_to_call(self, spans: Spans) -> None:
        with serving() as address, grpc.insecure_channel(address) as channel:
            single = channel.unary_unary(path_of("Echo_unary_unary"))
            answer, ended = single.with_call(b"a", None, (("card", "visa"),))
            assert (answer, ended.code()) == (b"a", grpc.StatusCode.OK)
            assert single.future(b"b").result(5) == b"b"
            many = channel.stream_unary(path_of("Echo_stream_unary"))
            assert many.with_call(iter([b"a"]))[0] == b"a"
            assert many.future(iter([b"b"])).result(5) == b"b"
        finished = spans.take(8)
        clients = {span.id for span in finished if span.subsegment}
        assert {span.parent_id for span in finished if not span.subsegment} == clients

    def test_a_stream_that_nobody_holds_is_cancelled_as_without_us(self, spans: Spans) -> None:
        with serving() as address, grpc.insecure_channel(address) as channel:
            stream = channel.unary_stream(path_of("Forever"))(b"x")
            assert next(stream) == b"x"
            del stream
            gc.collect()
            client, server = calls(spans.take(2))
        assert outcome(client) == outcome(server) == (False, False, False)

    def test_the_span_lasts_as_long_as_the_stream(self, spans: Spans) -> None:
        with serving() as address, grpc.insecure_channel(address) as channel:
            stream = channel.unary_stream(path_of("Forever"))(b"x")
            assert next(stream) == b"x"
            assert spans.take() == []
            stream.cancel()
            spans.take(2)

    def test_a_channel_with_a_stream_in_the_calling_thread(self, spans: Spans) -> None:
        option = (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1)
        with serving() as address, grpc.insecure_channel(address, options=[option]) as channel:
            assert list(channel.unary_stream(path_of("Echo_unary_stream"))(b"x")) == [b"x"]
            client, server = calls(spans.take(2))
        assert server.parent_id == client.id

    def test_interceptors_of_the_application_run(self, spans: Spans) -> None:
        seen: list[str] = []

        class Client(grpc.UnaryUnaryClientInterceptor):
            def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
                seen.append(f"client {details.method}")
                return continuation(details, request)

        class Server(grpc.ServerInterceptor):
            def intercept_service(self, continuation: Any, details: Any) -> Any:
                seen.append(f"server {details.method}")
                return continuation(details)

        with serving(interceptors=[Server()]) as address, grpc.insecure_channel(address) as channel:
            stub = grpc.intercept_channel(channel, Client()).unary_unary(path_of("Echo_unary_unary"))
            assert stub(b"x") == b"x"
        client, server = calls(spans.take(2))
        assert server.parent_id == client.id
        assert seen == [f"{side} {path_of('Echo_unary_unary')}" for side in ("client", "server")]

    def test_no_server(self, spans: Spans) -> None:
        with grpc.insecure_channel("127.0.0.1:1") as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary(path_of("Echo_unary_unary"))(b"x")
        span = spans.one()
        assert (span.name, outcome(span)) == ("127.0.0.1:1", (False, False, True))


@pytest.mark.parametrize("first", ["grpc", "grpc._channel"])
def test_whatever_is_imported_first(first: str) -> None:
    """`grpc` and `grpc.aio` import each other, and we are called in between."""
    code = (
        f"import fluoro; fluoro.install(); import {first}; import grpc._channel; from fluoro import instrument; "
        "print(sorted(name for name, what in instrument.register.items() if what == 'patched' and 'grpc' in name))"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "sdk")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.strip() == "['grpc', 'grpc._channel', 'grpc.aio._channel']"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("payment:50051", "payment:50051"),
        (b"dns:///payment:50051", "payment:50051"),
        ("dns://8.8.8.8/payment:50051", "payment:50051"),
        ("payment:443", "payment"),
        ("ipv4:10.0.0.1:50051", "10.0.0.1:50051"),
        ("ipv6:[::1]:50051", "::1:50051"),
        ("unix:///run/payment.sock", "/run/payment.sock"),
        ("", "unknown"),
    ],
)
def test_names_of_targets(target: str | bytes, name: str) -> None:
    assert target_name(target) == name
