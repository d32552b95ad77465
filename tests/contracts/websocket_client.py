"""A websocket client that needs nothing but a socket: texts up to 125 bytes, no extensions."""

from __future__ import annotations

import socket
import struct
from types import TracebackType

_TEXT, _CLOSE = 1, 8
_MASK = b"\x11\x22\x33\x44"


class WebSocketClient:
    """Connected by the constructor; leaving a `with` block without `close` drops the connection without a word."""

    def __init__(self, port: int, path: str, **headers: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        lines = [
            f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
            *(f"{key.replace('_', '-')}: {value}" for key, value in headers.items()),
        ]  # fmt: skip
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._rest = b""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._receive()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])

    def send(self, text: str) -> None:
        self._frame(_TEXT, text.encode())

    def receive(self) -> str | int | None:
        """The next text; the code of a close (1005: without one); None when the connection is gone without a close."""
        while True:
            header = self._exactly(2)
            body = self._exactly(header[1] & 0x7F) if len(header) == 2 else b""
            if len(header) < 2:
                return None
            if header[0] & 15 == _TEXT:
                return body.decode()
            if header[0] & 15 == _CLOSE:
                return int(struct.unpack("!H", body[:2])[0]) if body else 1005

    def close(self) -> None:
        """Say good-bye and wait until the server has closed the connection."""
        self._frame(_CLOSE, struct.pack("!H", 1000))
        while self.receive() is not None:
            pass

    def _frame(self, kind: int, body: bytes) -> None:
        masked = bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(body))
        self._socket.sendall(bytes([0x80 | kind, 0x80 | len(body)]) + _MASK + masked)

    def _exactly(self, count: int) -> bytes:
        while len(self._rest) < count:
            more = self._receive()
            if not more:
                return b""
            self._rest += more
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(4096)
        except ConnectionError:
            return b""

    def __enter__(self) -> WebSocketClient:  # noqa: PYI034  there are no subclasses, and Self is new in 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
