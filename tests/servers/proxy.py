"""A real HTTP proxy: tunnels (CONNECT), and forwards requests that come with a whole URL."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from fluoro.context import current_node
from fluoro.recorder import unrecorded


class Proxy(ThreadingHTTPServer):
    """`asked` holds the first line of every request to the proxy itself, `headers` the names of their headers."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[set[str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed:
            self.server.asked.append(f"{self.command} {self.path}")
            self.server.headers.append({name.lower() for name in self.headers})
        return parsed

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as target:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(target, self.connection), daemon=True)
            back.start()
            _copy(self.connection, target)
            back.join(10)

    def do_GET(self) -> None:
        current_node.set(unrecorded())  # this proxy stands for another process, which is not traced
        asked = urlsplit(self.path)
        target = HTTPConnection(asked.hostname or "", asked.port, timeout=10)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "proxy-connection"}
        target.request("GET", asked._replace(scheme="", netloc="").geturl(), headers=headers)
        answer = target.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        target.close()

    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65_536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxy() -> Iterator[Proxy]:
    server = Proxy()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
