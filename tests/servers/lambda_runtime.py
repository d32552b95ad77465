"""AWS Lambda's Runtime API, a fake: the service itself runs only at AWS. The real runtime (awslambdaric) is its client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:price"


class RuntimeApi(ThreadingHTTPServer):
    """`invoke` hands an event to the runtime and waits for what the function made of it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.waiting: SimpleQueue[tuple[str, bytes, dict[str, str]] | None] = SimpleQueue()
        self.answers: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self.count = 0
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def submit(self, event: object, *, trace: str = "", deadline_s: float = 30) -> str:
        """Hand over an event; its request id."""
        self.count += 1
        request_id = f"8476a536-e9f4-11e8-9739-{self.count:012x}"
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + deadline_s) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Content-Type": "application/json",
        }
        if trace:
            headers["Lambda-Runtime-Trace-Id"] = trace
        self.waiting.put((request_id, json.dumps(event).encode(), headers))
        return request_id

    def invoke(self, event: object, *, trace: str = "", deadline_s: float = 30) -> tuple[str, Any]:
        """("response" or "error", its JSON)."""
        self.submit(event, trace=trace, deadline_s=deadline_s)
        return self.answers.get(timeout=60)


class _Handler(BaseHTTPRequestHandler):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        taken = self.server.waiting.get()
        if taken is None:
            self.close_connection = True
            return
        _, body, headers = taken
        self._answer(200, body, headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        self._answer(202, b'{"status":"OK"}', {})
        self.server.answers.put((self.path.rpartition("/")[2], json.loads(body or b"null")))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


@contextmanager
def runtime_api() -> Iterator[RuntimeApi]:
    server = RuntimeApi()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.waiting.put(None)
        server.shutdown()
        thread.join()
        server.server_close()
