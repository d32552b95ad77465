"""One batch to the collector and its answer, over a connection that stays open. `http://` is the stdlib's client.

Nothing is opened before the first batch, in the sender's thread: a forked child never shares its parent's connection.
Everything is imported before: an import in that thread while the application forks would stay half done in the child.
"""

from __future__ import annotations

import http.client
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from fluoro.settings import check_endpoint
from fluoro.wire import MEDIA_TYPE

_PATH = "/v1/segments"
_RETRY = frozenset({429, 502, 503, 504})
_MAX_RETRY_AFTER_S = 60.0


class Reply(NamedTuple):
    """`delivered`, or `retry` (after at least `retry_after_s`), or refused for good. `reason` is one short line."""

    delivered: bool
    retry: bool = False
    retry_after_s: float = 0.0
    rejected: int = 0
    too_large: bool = False
    reason: str = ""


class HttpTransport:
    """Keeps one connection. Not for use by two threads at once."""

    def __init__(self, endpoint: str, timeout_s: float = 10.0) -> None:
        parts = urlsplit(check_endpoint(endpoint))
        self._host = parts.hostname or ""
        self._host.encode("idna")  # loads the codec that the socket will ask for
        self._port = parts.port or 80
        self._path = parts.path.rstrip("/") + _PATH
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def send(self, body: bytes, timeout_s: float | None = None) -> Reply:
        """Deliver one encoded batch; never raises for what a network or a server can do.

        A kept connection that the server has closed in the meantime is replaced at once: a segment that arrives twice
        is stored once.
        """
        reused = self._connection is not None
        while True:
            try:
                return self._exchange(body, timeout_s or self._timeout_s)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if reused and isinstance(error, (ConnectionError, http.client.BadStatusLine)):
                    reused = False
                    continue
                reason = f"{self._host}:{self._port} cannot be reached ({type(error).__name__}: {error})"
                return Reply(False, retry=True, reason=reason)

    def forget(self) -> None:
        """In a forked child: the connection is the parent's, so it is dropped without a word to the server."""
        self._connection = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, body: bytes, timeout_s: float) -> Reply:
        connection = self._connection
        if connection is None:
            connection = self._connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        connection.request("POST", self._path, body, {"Content-Type": MEDIA_TYPE})
        response = connection.getresponse()
        answer = response.read()
        if response.status == 200:
            return Reply(True, rejected=_rejected(answer, response.getheader("Content-Type", "")))
        reason = f"{self._host}:{self._port} answered {response.status} {response.reason}"
        if response.status in _RETRY:
            return Reply(False, True, _retry_after_s(response.getheader("Retry-After")), reason=reason)
        return Reply(False, too_large=response.status == 413, reason=reason)


def _rejected(answer: bytes, content_type: str) -> int:
    """How many segments of the batch the collector did not take; it took the batch, so an odd answer counts as none."""
    decode = msgspec.json.decode if "json" in content_type else msgspec.msgpack.decode
    try:
        decoded = decode(answer)
    except msgspec.DecodeError:
        return 0
    rejected = decoded.get("rejected") if isinstance(decoded, dict) else None
    return len(rejected) if isinstance(rejected, list) else 0


def _retry_after_s(header: str | None) -> float:
    """Seconds; the form with a date is taken as none. At most a minute, so that a wrong answer does not silence us."""
    try:
        seconds = float(header or 0)
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S) if seconds == seconds else 0.0  # noqa: PLR0124  NaN
