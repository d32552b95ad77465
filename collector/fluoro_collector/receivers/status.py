"""`google.rpc.Status` and OTLP's success message, in protobuf and JSON. Pure.

Written by hand: four small messages, where the generated classes of `googleapis-common-protos` would be one more
dependency. Fields: google/rpc/status.proto, error_details.proto (RetryInfo), OTLP's trace_service.proto.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fluoro_collector.decode.decoded import Rejection
from fluoro_collector.receivers.refusal import Refusal

MAX_MESSAGE = 1_000  # characters; the specification wants responses small
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def status_protobuf(refusal: Refusal) -> bytes:
    """Status{code=1, message=2, details=3: Any{type_url=1, value=2: RetryInfo{retry_delay=1: Duration}}}."""
    out = _number(1, refusal.code) + _bytes(2, refusal.message.encode())
    if refusal.retry_after_s:
        seconds, fraction = divmod(refusal.retry_after_s, 1)
        duration = _number(1, int(seconds)) + _number(2, int(fraction * 1_000_000_000))
        out += _bytes(3, _bytes(1, _RETRY_INFO.encode()) + _bytes(2, _bytes(1, duration)))
    return out


def status_json(refusal: Refusal) -> bytes:
    status: dict[str, object] = {"code": refusal.code, "message": refusal.message}
    if refusal.retry_after_s:
        status["details"] = [{"@type": _RETRY_INFO, "retryDelay": f"{refusal.retry_after_s:g}s"}]
    return msgspec.json.encode(status)


def success_protobuf(rejections: Sequence[Rejection]) -> bytes:
    """ExportTraceServiceResponse{partial_success=1{rejected_spans=1, error_message=2}}; empty on full success."""
    if not rejections:
        return b""
    return _bytes(1, _number(1, len(rejections)) + _bytes(2, summary(rejections).encode()))


def success_json(rejections: Sequence[Rejection]) -> bytes:
    if not rejections:
        return b"{}"
    # 64-bit integers are strings in protobuf's JSON.
    partial = {"rejectedSpans": str(len(rejections)), "errorMessage": summary(rejections)}
    return msgspec.json.encode({"partialSuccess": partial})


def summary(rejections: Sequence[Rejection]) -> str:
    """Each code once, with how often and its first message, as in "2 InvalidTraceId (a trace id has 16 bytes)"."""
    counts: dict[str, int] = {}
    first: dict[str, str] = {}
    for rejection in rejections:
        counts[rejection.code] = counts.get(rejection.code, 0) + 1
        first.setdefault(rejection.code, rejection.message)
    text = "; ".join(f"{count} {code} ({first[code]})" for code, count in counts.items())
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value) if value else b""


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
