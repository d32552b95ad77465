"""Trace headers ↔ `Parent`. Reads and writes `X-Amzn-Trace-Id` and W3C `traceparent`/`tracestate`. Pure functions.

Lenient in (any case, spaces, unknown items), canonical out. What cannot be read is as if it were absent: a caller's
broken header never breaks the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

XRAY = "X-Amzn-Trace-Id"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
HEADERS = (XRAY, TRACEPARENT, TRACESTATE)
ENV_XRAY = "_X_AMZN_TRACE_ID"  # AWS's name in an environment; W3C's are TRACEPARENT and TRACESTATE

MAX_EXTRAS = 256  # bytes of other items in X-Amzn-Trace-Id passed on, as AWS's SDK for Node does
MAX_TRACESTATE = 512  # W3C asks for at least this much to be propagated
_MAX_HEADER = 8_192
_ZERO_TRACE = bytes(16)


class Parent(NamedTuple):
    """What a caller told us. `sampled` None means: the receiver decides; `asked` that it wants to hear the decision.

    `id` is 0 when the header names a trace and no parent (a load balancer's does). `extras` are the header's other
    items ("Lineage=…"), passed on unchanged.
    """

    trace_id: bytes
    id: int
    sampled: bool | None
    asked: bool = False
    trace_state: str = ""
    extras: str = ""


def extract(get: Callable[[Any], str | None], names: tuple[Any, Any, Any] = HEADERS) -> Parent | None:
    """The caller in a request's headers: X-Ray's first, then W3C's. `get(name)` returns a header's value or None; `names`
    are what its carrier calls the three.
    """
    xray, traceparent, tracestate = names
    header = get(xray)
    if header:
        parent = parse_xray(header)
        if parent is not None:
            return parent
    header = get(traceparent)
    if header:
        return parse_w3c(header, get(tracestate) or "")
    return None


def inject(trace_id: bytes, span_id: int, sampled: bool, trace_state: str = "", extras: str = "") -> dict[str, str]:
    """The headers for an outgoing request, in both forms."""
    text = trace_id.hex()
    ours = f"{span_id:016x}"
    flag = "1" if sampled else "0"
    xray = f"Root=1-{text[:8]}-{text[8:]};Parent={ours};Sampled={flag}"  # as `write_xray`, which would format twice
    headers = {XRAY: f"{xray};{extras}" if extras else xray, TRACEPARENT: f"00-{text}-{ours}-0{flag}"}
    if trace_state:
        headers[TRACESTATE] = trace_state
    return headers


def from_environment(environ: Mapping[str, str]) -> Parent | None:
    """The caller of this whole process, from the environment it was started with: `_X_AMZN_TRACE_ID`, then TRACEPARENT.

    None in AWS Lambda, which changes the first with every invocation: its handler reads it.
    """
    if "AWS_LAMBDA_FUNCTION_NAME" in environ:
        return None
    return extract(
        {
            XRAY: environ.get(ENV_XRAY),
            TRACEPARENT: environ.get("TRACEPARENT"),
            TRACESTATE: environ.get("TRACESTATE"),
        }.get
    )


def to_environment(
    trace_id: bytes, span_id: int, sampled: bool, trace_state: str = "", extras: str = ""
) -> dict[str, str]:
    """Variables for a process started in a span; what `from_environment` reads."""
    headers = inject(trace_id, span_id, sampled, trace_state, extras)
    return {ENV_XRAY if name == XRAY else name.upper(): value for name, value in headers.items()}


def write_xray(trace_id: bytes, span_id: int, sampled: bool, extras: str = "") -> str:
    """`Root=…;Parent=…;Sampled=…` and the extras."""
    text = trace_id.hex()
    header = f"Root=1-{text[:8]}-{text[8:]};Parent={span_id:016x};Sampled={1 if sampled else 0}"
    return f"{header};{extras}" if extras else header


def write_xray_answer(trace_id: bytes, sampled: bool, asked: bool) -> str:
    """The response header of a server: its trace, and the decision if the caller asked with `Sampled=?`."""
    text = trace_id.hex()
    root = f"Root=1-{text[:8]}-{text[8:]}"
    return f"{root};Sampled={1 if sampled else 0}" if asked else root


def parse_xray(header: str) -> Parent | None:
    """`Root` is required; a `Parent` that cannot be read counts as absent, and so does `Sampled`. `Self` is ignored."""
    # Nearly every header looks like this; read by place it costs a third less.
    if len(header) == 74 and (header[:5], header[40:48], header[64:73]) == ("Root=", ";Parent=", ";Sampled="):
        trace_id, span, flag = parse_trace_id(header[5:40]), _from_hex(header[48:64], 8), header[73]
        if trace_id != _ZERO_TRACE and span and flag in "01":
            return Parent(trace_id, int.from_bytes(span, "big"), flag == "1")
    trace_id = _ZERO_TRACE
    span_id = 0
    sampled: bool | None = None
    asked = False
    extras: list[str] = []
    for item in header[:_MAX_HEADER].split(";"):
        key, separator, value = item.partition("=")
        key, value = key.strip(), value.strip()
        if not separator or not key:
            continue
        match key.lower():
            case "root":
                trace_id = parse_trace_id(value)
            case "parent":
                span_id = int.from_bytes(_from_hex(value, 8), "big")
            case "sampled":
                sampled = {"1": True, "0": False}.get(value)
                asked = value == "?"
            case "self":
                pass  # a load balancer's own mark
            case _:
                extras.append(f"{key}={value}")
    if trace_id == _ZERO_TRACE:
        return None
    return Parent(trace_id, span_id, sampled, asked, "", _bounded(extras))


def parse_w3c(traceparent: str, tracestate: str = "") -> Parent | None:
    """Version 00, or a later version that starts like it. A `tracestate` that is too long is left out whole."""
    text = traceparent.strip()
    if len(text) < 55 or (len(text) > 55 and (text[:2] == "00" or text[55] != "-")):
        return None
    version, trace, span, flags = text[:2], text[3:35], text[36:52], text[53:55]
    if text[2] != "-" or text[35] != "-" or text[52] != "-" or not _from_hex(version + flags, 2):
        return None
    trace_id, span_id = _from_hex(trace, 16), int.from_bytes(_from_hex(span, 8), "big")
    if version.lower() == "ff" or not trace_id or trace_id == _ZERO_TRACE or span_id == 0:
        return None
    state = tracestate.strip()
    if len(state) > MAX_TRACESTATE or not _printable(state):
        state = ""
    return Parent(trace_id, span_id, bool(int(flags, 16) & 1), trace_state=state)


def parse_trace_id(value: str) -> bytes:
    """`1-8hex-24hex` as 16 bytes; 16 zero bytes for anything else."""
    if len(value) != 35 or value[:2] != "1-" or value[10] != "-":
        return _ZERO_TRACE
    return _from_hex(value[2:10] + value[11:], 16) or _ZERO_TRACE


def _from_hex(digits: str, size: int) -> bytes:
    """`digits` as `size` bytes; b"" for anything but hex digits, two for each byte."""
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        return b""
    return found if len(found) == size and len(digits) == 2 * size else b""  # `fromhex` skips spaces


def _bounded(extras: list[str]) -> str:
    """As many whole items, from the first on, as fit; none that could not be in a header."""
    kept = ""
    for item in extras:
        longer = f"{kept};{item}" if kept else item
        if len(longer) > MAX_EXTRAS:
            break
        if _printable(item):
            kept = longer
    return kept


def _printable(text: str) -> bool:
    return text.isascii() and (text.isprintable() or not text)
