"""One batch to the collector and its answer, over a connection that stays open. `http://` is the stdlib's client.

Everything is imported before: an import in that thread while the application forks would stay half done in the child.
"""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import msgspec

from fluoro.settings import check_endpoint
from fluoro.transport.answer import MAX_RETRY_AFTER_S, Reply, native_batch, rejected_of
from fluoro.wire import MEDIA_TYPE

_PATH = "/v1/segments"
_MANY_VALUES = 1_000_000
_RETRY = frozenset({429, 502, 503, 504})


class HttpTransport:
    """Keeps one connection."""

    encode = staticmethod(native_batch)

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
        # 400 is also the answer to more values than a collector unpacks at a time, and each takes a byte at least.
        too_large = response.status == 413 or (response.status == 400 and len(body) > _MANY_VALUES)
        return Reply(False, too_large=too_large, reason=reason)


def _rejected(answer: bytes, content_type: str) -> int:
    return rejected_of(answer, msgspec.json.decode if "json" in content_type else msgspec.msgpack.decode)


def _retry_after_s(header: str | None) -> float:
    """Seconds; the form with a date is taken as none. At most a minute."""
    try:
        seconds = float(header or 0)
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if seconds == seconds else 0.0  # noqa: PLR0124  NaN
