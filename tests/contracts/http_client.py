"""What every instrumented HTTP client must do. An adapter subclasses `HttpClientContract` and says how to make a call."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from contracts.patched import PatchedContract
from fluoro.context import current_node
from fluoro.instrument import _http
from fluoro.model import Kind, Segment
from fluoro.propagation import Parent, extract, parse_w3c, parse_xray
from fluoro.recorder import recorder, unrecorded
from fluoro.testing import Spans, capture

_TRACE_HEADERS = ("x-amzn-trace-id", "traceparent", "tracestate")


class Upstream(ThreadingHTTPServer):
    """A real server: `/status/<n>` answers n, `/redirect` points to `/status/200`, `/slow` waits until the test ends,
    `/hang-up` closes the connection, `/chunked` answers in chunks, `/flaky` answers 503 but each third time, `/private` asks for a
    password. `seen` holds the path and headers of every request.
    """

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.arrived = threading.Event()  # a request for `/slow`
        self.released = threading.Event()
        self.repeated: list[str] = []  # names of trace headers that a request carried twice
        self.scheme = "http" if tls is None else "https"
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing on the test's output about a client that hung up; what else goes wrong, its test will see."""

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.name}"

    def parents(self) -> list[Parent]:
        """Who the requests said had made them; both headers must agree."""
        assert not self.repeated
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
    wbufsize = 65_536  # an answer is one packet: a kept connection would wait 40 ms between its parts

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        names = [name.lower() for name in self.headers]
        self.server.repeated += [name for name in _TRACE_HEADERS if names.count(name) > 1]
        path = self.path.partition("?")[0]
        if path == "/hang-up":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if path == "/slow":
            self.server.arrived.set()
            self.server.released.wait(30)
            self.close_connection = True
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path == "/redirect":
            status = 302
        elif path == "/flaky":
            status = 503 if len(self.server.seen) % 3 else 200
        elif path == "/private":
            status = 200 if "Authorization" in self.headers else 401
        else:
            status = 200 if path == "/chunked" else int(path.rpartition("/")[2])
        body = b"" if status in (204, 304) else b"twelve bytes"
        self.send_response(status)
        if path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            body = b"6\r\ntwelve\r\n6\r\n bytes\r\n0\r\n\r\n"
        elif body:
            self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="orders"')
        if status == 302:
            self.send_header("Location", "/status/200")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_HEAD = do_GET  # noqa: N815  http.server's names

    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


@contextmanager
def upstream(tls: ssl.SSLContext | None = None) -> Iterator[Upstream]:
    server = Upstream(tls)
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
    errors_have_a_stack: ClassVar[bool] = True

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

    @pytest.mark.parametrize("spelled", [str, str.lower, str.upper, str.title])
    def test_headers_of_another_trace_are_replaced(
        self, server: Upstream, spans: Spans, spelled: Callable[[str], str]
    ) -> None:
        stale = {
            "X-Amzn-Trace-Id": "Root=1-00000001-000000000000000000000001;Parent=0000000000000001;Sampled=0",
            "traceparent": "00-00000001000000000000000000000001-0000000000000001-00",
            "tracestate": "vendor=stale",
        }
        headers = {spelled(name): value for name, value in stale.items()}
        given = dict(headers)
        self.call("GET", f"{server.url}/status/200", headers=headers)
        call = spans.one()
        (parent,) = server.parents()
        assert (parent.trace_id, parent.id) == (call.trace_id, call.id)
        assert "tracestate" not in server.seen[0][1]
        assert headers == given

    def test_timeout_passes_unchanged_and_is_the_cause(self, server: Upstream, spans: Spans) -> None:
        with pytest.raises(self.timeout_error) as raised:
            self.call("GET", f"{server.url}/slow", timeout_s=0.05)
        self._assert_fault(spans.one(), raised.value)

    def test_refused_connection_is_the_cause(self, spans: Spans) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            with pytest.raises(self.connection_error) as raised:
                self.call("GET", f"http://127.0.0.1:{port}/")
        call = spans.one()
        assert call.name == f"127.0.0.1:{port}"
        self._assert_fault(call, raised.value)

    def test_closed_connection_is_the_cause(self, server: Upstream, spans: Spans) -> None:
        with pytest.raises(Exception) as raised:
            self.call("GET", f"{server.url}/hang-up")
        self._assert_fault(spans.one(), raised.value)

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

    def test_an_answer_in_chunks_has_no_length(self, server: Upstream, spans: Spans) -> None:
        assert self.call("GET", f"{server.url}/chunked") == 200
        call = spans.one()
        assert call.http is not None
        assert (call.http.status, call.http.content_length) == (200, -1)

    def test_a_layer_below_a_call_makes_no_span_of_its_own(self, server: Upstream, spans: Spans) -> None:
        with _http.begin_client("GET", f"{server.url}/status/200") as outer:
            headers = _http.outgoing_headers(outer)
            assert self.call("GET", f"{server.url}/status/200", headers=headers) == 200
        call = spans.one()
        assert [parent.id for parent in server.parents()] == [call.id]

    def test_a_call_on_the_side_of_another_is_its_child(self, server: Upstream, spans: Spans) -> None:
        with _http.begin_client("GET", "http://elsewhere/") as outer:
            self.call("GET", f"{server.url}/status/200")
            assert recorder.current() is outer
        call, _ = spans.take(2)
        assert (call.name, call.parent_id) == (server.name, outer.segment.id)
        assert [parent.id for parent in server.parents()] == [call.id]

    def test_whoever_sends_the_current_spans_header_himself_still_gets_a_span(
        self, server: Upstream, spans: Spans
    ) -> None:
        with recorder.begin_segment("GET /") as entry:
            self.call("GET", f"{server.url}/status/200", headers=_http.outgoing_headers(entry))
        call, _ = spans.take(2)
        assert [parent.id for parent in server.parents()] == [call.id]

    def test_below_a_call_to_aws_nothing_is_recorded(self, server: Upstream, spans: Spans) -> None:
        with recorder.begin("S3", "GetObject", Kind.CLIENT, "aws"):
            assert self.call("GET", f"{server.url}/status/200") == 200
        assert spans.one().name == "S3"
        assert not _told(server)

    def test_what_follows_a_call_to_aws_in_a_task_it_started_is_recorded(self, server: Upstream, spans: Spans) -> None:
        with recorder.begin("S3", "GetObject", Kind.CLIENT, "aws"):
            later = copy_context()
        later.run(self.call, "GET", f"{server.url}/status/200")
        assert [segment.name for segment in spans.take(2)] == ["S3", server.name]

    def test_a_request_repeated_after_its_call_in_a_task_it_started_is_recorded(
        self, server: Upstream, spans: Spans
    ) -> None:
        with _http.begin_client("GET", server.url) as first:
            headers = _http.outgoing_headers(first)
            later = copy_context()
        later.run(self.call, "GET", f"{server.url}/status/200", headers=headers)
        before, call = spans.take(2)
        assert (before.id, call.parent_id) == (first.segment.id, first.segment.id)
        assert [parent.id for parent in server.parents()] == [call.id]

    def test_fluoros_own_calls_are_neither_recorded_nor_told(self, server: Upstream, spans: Spans) -> None:
        token = current_node.set(unrecorded())
        try:
            assert self.call("GET", f"{server.url}/status/500") == 500
        finally:
            current_node.reset(token)
        assert spans.take() == []
        assert not _told(server)

    def _assert_fault(self, call: Segment, error: Exception) -> None:
        assert call.fault
        assert not call.error
        assert call.cause is not None
        record = call.cause.exceptions[0]
        assert record.type.endswith(type(error).__qualname__)
        assert bool(record.stack) == self.errors_have_a_stack


def _told(server: Upstream) -> bool:
    """Whether any request carried a trace."""
    return any("x-amzn-trace-id" in headers or "traceparent" in headers for _, headers in server.seen)
