"""What the measured processes talk to: a collector, an agent and a daemon that take everything, and a web service.

    python tests/bench/sdk_sink.py      prints its port, TCP and UDP alike

`GET /received` says how many spans arrived since it was asked last. Everything else is answered with `{}`.
"""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_received: list[tuple[str, bytes]] = []


def _count_received() -> int:
    count = 0
    while _received:
        count += _spans_in(*_received.pop())
    return count


def _spans_in(path: str, body: bytes) -> int:
    """Decoded by each format's own rules; what is no spans (ddtrace asks the agent for its features) counts 0."""
    if path == "/v1/segments":
        from fluoro.wire import decode_batch

        return len(decode_batch(body).segments)
    if path == "/v1/traces":
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        request = ExportTraceServiceRequest.FromString(body)
        return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
    if path == "udp":
        return body.count(b'"start_time"')  # of a segment and of each subsegment in it
    if path.endswith("/traces") and body:
        import msgspec

        decoded = msgspec.msgpack.decode(body, strict=False)
        return sum(len(trace) for trace in (decoded[1] if path.startswith("/v0.5") else decoded))
    return 0


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        answer = b"{}"
        if self.path == "/received":
            answer = str(_count_received()).encode()
        elif self.path.endswith(("/traces", "/segments")):
            _received.append((self.path, body))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
        self.wfile.write(head.encode() + answer)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815  names are http.server's

    def log_message(self, *args: object) -> None:
        """Keep the table readable."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
    datagrams.bind(("127.0.0.1", server.server_port))

    def drain() -> None:
        while True:
            _received.append(("udp", datagrams.recv(65_536)))

    threading.Thread(target=drain, daemon=True).start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
