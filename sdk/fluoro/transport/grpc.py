"""Native batches over gRPC: `fluoro.v1.SegmentService/Put`, bytes in and bytes out, so no generated classes.

`grpc` is imported when the transport is made. Importing it in the sender's thread would save an application 0.2 s of its
start, but a fork in that time leaves the child with a module that stays half loaded; see `sdk/RATIONALE.md`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from fluoro.errors import SettingsError
from fluoro.transport.answer import MAX_RETRY_AFTER_S, Reply, native_batch, rejected_of

METHOD = "/fluoro.v1.SegmentService/Put"
DEFAULT_PORT = 4317
_DETAILS = "grpc-status-details-bin"
_RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"
_OPTIONS = [
    ("grpc.keepalive_time_ms", 60_000),  # while calls run; a server that is gone is noticed
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.enable_retries", 0),  # the sender retries, and counts it
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 30_000),
]
# Besides these the OpenTelemetry protocol retries RESOURCE_EXHAUSTED when the server says after how long.
_RETRY = frozenset({"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"})


class GrpcTransport:
    """Keeps one channel, opened with the first batch."""

    encode = staticmethod(native_batch)

    def __init__(self, endpoint: str, timeout_s: float = 10.0) -> None:
        try:
            import grpc
        except ImportError:
            raise SettingsError(
                f"FLUORO_ENDPOINT is {endpoint!r}, which needs the extra 'grpc': pip install 'fluoro[grpc]'"
            ) from None
        self._grpc = grpc
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        self._target = f"{f'[{host}]' if ':' in host else host}:{parts.port or DEFAULT_PORT}"
        self._timeout_s = timeout_s
        self._channel: Any = None
        self._put: Any = None

    def send(self, body: bytes, timeout_s: float | None = None) -> Reply:
        if self._put is None:
            self._channel = self._grpc.insecure_channel(self._target, options=_OPTIONS)
            self._put = self._channel.unary_unary(METHOD)
        try:
            answer = self._put(body, timeout=timeout_s or self._timeout_s)
        except self._grpc.RpcError as error:
            return self._judge(error)
        return Reply(True, rejected=rejected_of(answer, msgspec.json.decode))

    def forget(self) -> None:
        self._channel = self._put = None

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self.forget()

    def _judge(self, error: Any) -> Reply:
        code = error.code().name
        reason = f"{self._target} answered {code}: {str(error.details())[:200]}"
        details = next((value for key, value in error.trailing_metadata() or () if key == _DETAILS), b"")
        wait_s = retry_delay_s(details)
        if code in _RETRY or (code == "RESOURCE_EXHAUSTED" and wait_s is not None):
            return Reply(False, True, min(wait_s or 0.0, MAX_RETRY_AFTER_S), reason=reason)
        # Without a time to come back, RESOURCE_EXHAUSTED is a message over the server's limit.
        return Reply(False, too_large=code == "RESOURCE_EXHAUSTED", reason=reason)


def retry_delay_s(status: bytes) -> float | None:
    """The `RetryInfo.retry_delay` in an encoded `google.rpc.Status`, in seconds; None without one."""
    try:
        for number, detail in _fields(status):
            if number == 3 and isinstance(detail, bytes):
                entry = dict(_fields(detail))
                if entry.get(1) == _RETRY_INFO:
                    delay = dict(_fields(dict(_fields(entry.get(2) or b"")).get(1) or b""))
                    return float(delay.get(1, 0)) + float(delay.get(2, 0)) / 1e9
    except (IndexError, TypeError, ValueError):
        return None
    return None


def _fields(message: Any) -> list[tuple[int, Any]]:
    """(number, int or bytes) of every field of a protobuf message. ValueError for other wire types or a cut message."""
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == 2:
            if at + value > len(message):
                raise ValueError("the message is cut off")
            found.append((key >> 3, bytes(message[at : at + value])))
            at += value
        elif key & 7 == 0:
            found.append((key >> 3, value))
        else:
            raise ValueError("not in the messages read here")
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
