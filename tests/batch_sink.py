"""A real HTTP server that takes native batches, decodes them and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fluoro.model import Batch, Segment
from fluoro.wire import MEDIA_TYPE, decode_batch

Answer = tuple[int, dict[str, str], bytes]


def stored(rejected: int = 0) -> Answer:
    body = json.dumps({"stored": 1, "rejected": [{"index": i} for i in range(rejected)]}).encode()
    return 200, {"Content-Type": "application/json"}, body


class BatchSink:
    """`answers` are given in turn, then `stored()` for ever. Batches are kept only of requests answered with 200."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.requests: list[tuple[float, int]] = []  # monotonic time and size of every request
        self.connections = 0
        self.headers: list[dict[str, str]] = []
        self.answers: list[Answer | Callable[[], Answer]] = []
        self.close_after_answer = False
        self.server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def segments(self) -> list[Segment]:
        return [segment for batch in self.batches for segment in batch.segments]

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s} s; {len(self.segments)} segments are here"
            time.sleep(0.005)

    def start(self, port: int = 0) -> None:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                sink.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path in ("/GetSamplingRules", "/SamplingTargets"):  # not offered here, and not counted
                    self.send_error(404)
                    return
                sink.requests.append((time.monotonic(), len(body)))
                sink.headers.append(dict(self.headers))
                answer: Any = sink.answers.pop(0) if sink.answers else stored()
                status, headers, content = answer() if callable(answer) else answer
                if status == 200:
                    assert self.path == "/v1/segments"
                    assert self.headers["Content-Type"] == MEDIA_TYPE
                    sink.batches.append(decode_batch(body))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                # As a server that drops idle connections: the client finds out at its next request.
                self.close_connection = sink.close_after_answer

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        assert self.server is not None
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def running_sink() -> Iterator[BatchSink]:
    sink = BatchSink()
    sink.start()
    try:
        yield sink
    finally:
        sink.stop()
