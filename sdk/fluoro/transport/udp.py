"""X-Ray documents to a daemon: a header line and one document in each datagram.

Nobody answers. What this machine can know is counted: a datagram that the kernel did not take in time, that is too large
for the way, or that nobody listened for (Linux says so when the next one is sent). What is dropped after that is not.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlsplit

from fluoro.model import Resource, Segment
from fluoro.real_threads import original
from fluoro.transport.answer import Encoded, Reply
from fluoro.transport.xray_datagrams import MAX_DOCUMENT, Document, split

HEADER = b'{"format":"json","version":1}\n'
DEFAULT_PORT = 2000
SMALLEST_LIMIT = 2_000
_BURST = 32  # datagrams sent without a pause; a receiver's buffer holds a few hundred
_PAUSE_S = 0.001
_ROOM_S = 1.0  # to wait for room in the kernel's buffer


class UdpTransport:
    """Keeps one connected socket. `limit` is the largest document, in bytes; it shrinks where the way carries less."""

    def __init__(self, endpoint: str, limit: int = MAX_DOCUMENT) -> None:
        parts = urlsplit(endpoint)
        self._host = parts.hostname or ""
        self._host.encode("idna")  # loads the codec that the socket will ask for; see `transport.http`
        self._port = parts.port or DEFAULT_PORT
        self._limit = limit
        self._socket: socket.socket | None = None
        self._sleep = original("time", "sleep")
        self._resource = Resource()

    def encode(self, resource: Resource, segments: Sequence[Segment], pause: Callable[[], object]) -> Encoded:
        self._resource = resource
        documents, lost, trimmed = split(resource, segments, self._limit, pause)
        return Encoded(documents, sum(len(document.body) for document in documents), lost, trimmed)

    def send(self, body: Sequence[Document], timeout_s: float | None = None) -> Reply:
        room_s = min(_ROOM_S, timeout_s or _ROOM_S)
        try:
            target = self._connected()
            target.settimeout(room_s)
        except OSError as error:
            reason = f"{self._host}:{self._port} cannot be reached ({type(error).__name__}: {error})"
            return Reply(False, retry=True, reason=reason)
        lost = 0
        reason = ""
        for number, document in enumerate(body, 1):
            missing, why = self._send_one(target, document)
            lost += missing
            reason = why or reason
            if number % _BURST == 0:
                self._sleep(_PAUSE_S)
        return Reply(True, lost=lost, reason=reason and f"{self._host}:{self._port}: {reason}")

    def forget(self) -> None:
        self._socket = None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            family, kind, protocol, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
            made = socket.socket(family, kind, protocol)
            try:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
                made.connect(address)
            except OSError:
                made.close()
                raise
            self._socket = made
        return self._socket

    def _send_one(self, target: socket.socket, document: Document) -> tuple[int, str]:
        """How many segments are lost, and why. What is too large is split further, down to SMALLEST_LIMIT."""
        refused = 0
        for _ in range(2):
            try:
                target.send(HEADER + document.body)
            except ConnectionRefusedError:  # about the datagram before; this one was not sent
                refused += document.own
            except TimeoutError:
                return document.own, "no room in the socket's buffer"
            except OSError as error:
                if error.errno != errno.EMSGSIZE or self._limit <= SMALLEST_LIMIT:
                    return document.own, f"{type(error).__name__}: {error}"
                self._limit = max(SMALLEST_LIMIT, min(self._limit, len(document.body)) // 2)
                smaller = split(self._resource, document.segments, self._limit)
                return self._send_all(target, smaller.documents, smaller.lost)
            else:
                break
        # The one before had about as many segments as this one; the ledger cannot know better.
        return min(refused, document.own), "nobody listens" if refused else ""

    def _send_all(self, target: socket.socket, documents: Iterable[Document], lost: int) -> tuple[int, str]:
        reason = ""
        for document in documents:
            missing, why = self._send_one(target, document)
            lost += missing
            reason = why or reason
        return lost, reason
