"""What every instrumented HTTP client must do. An adapter subclasses `HttpClientContract` and says how to make a call."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from contracts.patched import PatchedContract
from fluoro.model import Kind, Segment
from fluoro.propagation import Parent, extract, parse_w3c, parse_xray
from fluoro.recorder import recorder
from fluoro.testing import Spans, capture


class Upstream(ThreadingHTTPServer):
    """A real server: `/status/<n>` answers n, `/redirect` points to `/status/200`, `/slow` waits until the test ends,
    `/hang-up` closes the connection. `seen` holds the path and headers of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.name}"

    def parents(self) -> list[Parent]:
        """Who the requests said had made them; both headers must agree."""
        found = []
        for _, headers in self.seen:
            xray, w3c = parse_xray(headers["x-amzn-trace-id"]), parse_w3c(headers["traceparent"])
            assert xray is not None
            assert w3c is not None
            assert (xray.trace_id, xray.id, xray.sampled) == (w3c.trace_id, w3c.id, w3c.sampled)
            found.append(xray)
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Upstream
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        path = self.path.partition("?")[0]
        if path == "/hang-up":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if path == "/slow":
            self.server.released.wait(30)
            self.close_connection = True
            return
        status = 302 if path == "/redirect" else int(path.rpartition("/")[2])
        body = b"twelve bytes"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "/status/200")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_HEAD = do_GET  # noqa: N815  http.server's names

    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


@contextmanager
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class HttpClientContract(PatchedContract):
    """Subclass and fill in; the tests come along."""

    timeout_error: ClassVar[type[Exception]]
    connection_error: ClassVar[type[Exception]]

    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        """Make one call with the library, follow redirects, read the body; the status of the answer."""
        raise NotImplementedError

    @pytest.fixture
    def server(self) -> Iterator[Upstream]:
        with upstream() as server:
            yield server

    @pytest.fixture
    def spans(self) -> Iterator[Spans]:
        with capture("shop") as spans:
            yield spans

    def test_one_span_below_the_current_one(self, server: Upstream, spans: Spans) -> None:
        with recorder.begin_segment("GET /") as entry:
            assert self.call("GET", f"{server.url}/status/200") == 200
        call, request = spans.take(2)
        assert request.id == entry.segment.id
        assert (call.trace_id, call.parent_id) == (request.trace_id, request.id)
        assert (call.name, call.namespace, call.kind, call.operation) == (server.name, "remote", Kind.CLIENT, "GET")
        assert call.subsegment
        assert request.start <= call.start <= call.end <= request.end
        (parent,) = server.parents()
        assert (parent.trace_id, parent.id, parent.sampled) == (call.trace_id, call.id, True)

    def test_url_loses_query_and_credentials(self, server: Upstream, spans: Spans) -> None:
        self.call("POST", f"http://user:secret@{server.name}/status/201?token=secret#part")
        call = spans.one()
        assert call.http is not None
        assert (call.http.method, call.http.url) == ("POST", f"{server.url}/status/201")
        assert (call.http.status, call.http.content_length) == (201, 12)
        assert "secret" not in repr(call)

    @pytest.mark.parametrize(
        ("status", "flags"),
        [
            (200, (False, False, False)),
            (304, (False, False, False)),
            (404, (True, False, False)),
            (429, (True, True, False)),
            (500, (False, False, True)),
            (503, (False, False, True)),
        ],
    )
    def test_status_decides(self, server: Upstream, spans: Spans, status: int, flags: tuple[bool, bool, bool]) -> None:
        assert self.call("HEAD", f"{server.url}/status/{status}") == status
        call = spans.one()
        assert (call.error, call.throttle, call.fault) == flags
        assert call.cause is None

    def test_redirects_belong_to_one_span(self, server: Upstream, spans: Spans) -> None:
        assert self.call("GET", f"{server.url}/redirect") == 200
        call = spans.one()
        assert call.http is not None
        assert (call.http.url, call.http.status) == (f"{server.url}/redirect", 200)
        assert [path for path, _ in server.seen] == ["/redirect", "/status/200"]
        assert {parent.id for parent in server.parents()} == {call.id}

    def test_headers_of_another_trace_are_replaced(self, server: Upstream, spans: Spans) -> None:
        stale = {"X-Amzn-Trace-Id": "Root=1-00000001-000000000000000000000001;Parent=0000000000000001;Sampled=0"}
        self.call("GET", f"{server.url}/status/200", headers=stale)
        call = spans.one()
        (parent,) = server.parents()
        assert (parent.trace_id, parent.id) == (call.trace_id, call.id)

    def test_timeout_passes_unchanged_and_is_the_cause(self, server: Upstream, spans: Spans) -> None:
        with pytest.raises(self.timeout_error) as raised:
            self.call("GET", f"{server.url}/slow", timeout_s=0.05)
        _assert_fault(spans.one(), raised.value)

    def test_refused_connection_is_the_cause(self, spans: Spans) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            with pytest.raises(self.connection_error) as raised:
                self.call("GET", f"http://127.0.0.1:{port}/")
        call = spans.one()
        assert call.name == f"127.0.0.1:{port}"
        _assert_fault(call, raised.value)

    def test_closed_connection_is_the_cause(self, server: Upstream, spans: Spans) -> None:
        with pytest.raises(Exception) as raised:
            self.call("GET", f"{server.url}/hang-up")
        _assert_fault(spans.one(), raised.value)

    def test_unsampled_is_not_recorded_but_told(self, server: Upstream, spans: Spans) -> None:
        parent = Parent(b"\x65" * 16, 7, sampled=False)
        with recorder.begin_segment("GET /", parent=parent):
            self.call("GET", f"{server.url}/status/500")
        assert spans.take() == []
        (told,) = server.parents()
        assert (told.trace_id, told.sampled) == (parent.trace_id, False)

    def test_trace_state_and_extras_travel_on(self, server: Upstream, spans: Spans) -> None:
        headers = {"X-Amzn-Trace-Id": "Root=1-65656565-656565656565656565656565;Sampled=1;Lineage=a:1"}
        with recorder.begin_segment("GET /", parent=extract(headers.get)):
            self.call("GET", f"{server.url}/status/200")
        assert len(spans.take()) == 2
        assert server.seen[0][1]["x-amzn-trace-id"].endswith(";Lineage=a:1")

    def test_threads_do_not_mix(self, server: Upstream, spans: Spans) -> None:
        def request(number: int) -> None:
            with recorder.begin_segment(f"GET /{number}"):
                self.call("GET", f"{server.url}/status/{200 + number}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(request, range(4)))
        finished = spans.take(8)
        requests = {segment.id: segment for segment in finished if not segment.subsegment}
        calls = [segment for segment in finished if segment.subsegment]
        assert len(calls) == 4
        for call in calls:
            assert call.http is not None
            assert requests[call.parent_id].operation == f"GET /{call.http.status - 200}"
            assert requests[call.parent_id].trace_id == call.trace_id

    def test_nothing_is_current_afterwards(self, server: Upstream, spans: Spans) -> None:
        self.call("GET", f"{server.url}/status/200")
        self.call("GET", f"{server.url}/status/200")
        first, second = spans.take(2)
        assert recorder.current() is None
        assert first.trace_id != second.trace_id
        assert first.parent_id == second.parent_id == 0


def _assert_fault(call: Segment, error: Exception) -> None:
    assert call.fault
    assert not call.error
    assert call.cause is not None
    record = call.cause.exceptions[0]
    assert record.type.endswith(type(error).__qualname__)
    assert record.stack
