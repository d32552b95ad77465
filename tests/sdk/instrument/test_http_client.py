from __future__ import annotations

import http.client
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

import batch_sink
from batch_sink import BatchSink
from contracts.http_client import HttpClientContract, Upstream
from fluoro.recorder import recorder
from fluoro.run import environment
from fluoro.testing import Spans


class TestHttpClient(HttpClientContract):
    library = "http.client"
    timeout_error = TimeoutError
    connection_error = ConnectionRefusedError

    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        try:
            path = parts._replace(scheme="", netloc="", fragment="").geturl()
            self.send(connection, method, path, headers or {})
            assert connection.sock is not None
            connection.sock.settimeout(timeout_s)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def send(self, connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]) -> None:
        connection.request(method, path, headers=headers)

    def originals(self) -> list[Any]:
        return [vars(http.client.HTTPConnection)[name] for name in ("endheaders", "getresponse", "close")]

    def test_redirects_belong_to_one_span(self, server: Upstream, spans: Spans) -> None:
        """This library follows none: to follow one is another call of the program's own."""
        assert self.call("GET", f"{server.url}/redirect") == 302
        call = spans.one()
        assert (call.fault, call.error) == (False, False)

    def test_steps_by_hand_are_one_span(self, server: Upstream, spans: Spans) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        connection.putrequest("POST", "/status/200")
        connection.putheader("content-length", "6")
        connection.putheader("TraceParent", "mine")
        connection.endheaders()
        connection.send(b"abc")
        connection.send(b"def")
        assert recorder.current() is None
        with connection.getresponse() as response:
            call = spans.one()
            assert response.read() == b"twelve bytes"
        assert [parent.id for parent in server.parents()] == [call.id]
        connection.close()

    def test_two_connections_at_once_are_siblings(self, server: Upstream, spans: Spans) -> None:
        one, two = (http.client.HTTPConnection("127.0.0.1", server.server_port) for _ in range(2))
        with recorder.begin_segment("GET /") as entry:
            one.request("GET", "/status/200")
            two.request("GET", "/status/201")
            assert recorder.current() is entry
            for connection in (one, two):
                connection.getresponse().read()
                connection.close()
        first, second, _ = spans.take(3)
        assert first.parent_id == second.parent_id == entry.segment.id
        assert first.http is not None
        assert second.http is not None
        assert (first.http.status, second.http.status) == (200, 201)
        assert {first.id, second.id} == {parent.id for parent in server.parents()}

    def test_a_kept_connection_serves_several_spans(self, server: Upstream, spans: Spans) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        for status in (200, 404, 201):
            connection.request("GET", f"/status/{status}")
            connection.getresponse().read()
        connection.close()
        assert [call.http.status for call in spans.take(3) if call.http] == [200, 404, 201]

    def test_closing_before_the_answer_ends_the_span(self, server: Upstream, spans: Spans) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        connection.request("GET", "/status/200")
        assert spans.take() == []
        connection.close()
        call = spans.one()
        assert call.http is not None
        assert (call.http.status, call.fault) == (0, False)
        connection.request("GET", "/status/200")
        connection.getresponse().close()
        connection.close()
        assert spans.one().id != call.id

    def test_an_answer_that_is_never_read_is_recorded(self, server: Upstream, spans: Spans) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        connection.request("GET", "/status/200")
        connection.getresponse()
        connection.close()
        assert spans.one().http is not None

    def test_a_body_that_cannot_be_sent_is_the_cause(self, server: Upstream, spans: Spans) -> None:
        class Broken(io.BytesIO):
            def read(self, *_: object) -> bytes:
                raise OSError("the disk is gone")

        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        with pytest.raises(OSError, match="the disk"):
            connection.request("POST", "/status/200", body=Broken(), headers={"Content-Length": "3"})
        connection.close()
        call = spans.one()
        assert call.fault
        assert call.cause is not None
        assert call.cause.exceptions[0].message == "the disk is gone"

    def test_misuse_fails_as_before(self, spans: Spans) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", 9)
        with pytest.raises(http.client.CannotSendHeader):
            connection.endheaders()
        with pytest.raises(http.client.ResponseNotReady):
            connection.getresponse()
        connection.close()
        assert spans.take() == []

    @pytest.mark.parametrize(
        ("host", "port", "tunnel", "path", "name", "url"),
        [
            ("shop", 80, None, "/a?b", "shop", "http://shop/a"),
            ("shop", 8080, None, "/a", "shop:8080", "http://shop:8080/a"),
            ("::1", 8080, None, "/a", "::1:8080", "http://[::1]:8080/a"),
            ("proxy", 3128, ("shop", 80), "/a", "shop", "http://shop/a"),
            ("proxy", 3128, None, "http://shop:8080/a?u=http://x", "shop:8080", "http://shop:8080/a"),
            ("shop", 80, None, "/?next=http://elsewhere/", "shop", "http://shop/"),
            ("shop", 80, None, "*", "shop", "http://shop"),
        ],
    )
    def test_the_span_is_named_after_the_callee(
        self, spans: Spans, host: str, port: int, tunnel: tuple[str, int] | None, path: str, name: str, url: str
    ) -> None:
        class Nowhere(http.client.HTTPConnection):
            def connect(self) -> None:
                raise ConnectionRefusedError

        connection = Nowhere(host, port)
        if tunnel:
            connection.set_tunnel(*tunnel)
        with pytest.raises(ConnectionRefusedError):
            connection.request("GET", path)
        call = spans.one()
        assert call.http is not None
        assert (call.name, call.http.url) == (name, url)


class TestHttpClientStepByStep(TestHttpClient):
    def send(self, connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]) -> None:
        connection.putrequest(method, path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()


_ONLY_IMPORTED = """
import sys
import http.client, urllib.request
http.client.HTTPConnection("127.0.0.1", 9).close()
loaded = {"wrapt", "msgspec", "fluoro.recorder", "fluoro.instrument._http"} & set(sys.modules)
assert not loaded, loaded
"""

_CALLED = """
import sys
import http.client
for _ in range(2):
    try:
        http.client.HTTPConnection("127.0.0.1", 9, timeout=1).request("GET", "/")
    except OSError:
        pass
import fluoro
assert fluoro.flush(10)
statistics = fluoro.statistics()
assert statistics["sent"] == 2, statistics
assert "wrapt" not in sys.modules
"""

_SENDER_ONLY = """
import sys
import fluoro
fluoro.install()
with fluoro.span("work"):
    pass
assert fluoro.flush(10)
statistics = fluoro.statistics()
assert statistics["sent"] == 1, statistics
assert not {"wrapt", "fluoro.instrument._http_connection"} & set(sys.modules)
"""


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


def run(code: str, endpoint: str) -> None:
    """In a process of its own, as under `fluoro run`."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(os.environ, endpoint=endpoint), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_only_imports_it_loads_nothing(sink: BatchSink) -> None:
    run(_ONLY_IMPORTED, sink.url)
    assert sink.requests == []


def test_calls_are_recorded_from_the_first_on(sink: BatchSink) -> None:
    run(_CALLED, sink.url)
    assert [segment.name for segment in sink.segments] == ["127.0.0.1:9", "127.0.0.1:9"]
    assert not told(sink)


def test_the_sender_is_not_traced_and_loads_nothing(sink: BatchSink) -> None:
    run(_SENDER_ONLY, sink.url)
    assert [segment.operation for segment in sink.segments] == ["work"]
    assert not told(sink)


def told(sink: BatchSink) -> bool:
    """Whether the sender's requests said that they belong to a trace."""
    return any({"x-amzn-trace-id", "traceparent"} & {name.lower() for name in headers} for headers in sink.headers)
