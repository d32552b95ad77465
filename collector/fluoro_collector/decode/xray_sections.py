"""The sections of an X-Ray document, each read leniently: SDKs disagree about types, and a bad section is no reason to
lose the segment. Every function takes any JSON value. A section that is there stays, though nothing in it is usable, since
X-Ray gives it back empty.
"""

from __future__ import annotations

import re
from typing import Any

from fluoro.model import Annotation, Cause, ExceptionRecord, Frame, Http, Link, Sql
from fluoro_collector.decode.plain import plain

_TRACE_ID = re.compile(r"(?:1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})|([0-9a-fA-F]{32}))", re.ASCII)
_SPAN_ID = re.compile(r"[0-9a-fA-F]{16}", re.ASCII)
_NO_TRACE = bytes(16)
# The last second whose nanoseconds fit 63 bits (in 2262).
_LAST_SECOND = 9_223_372_036.0


def trace_id(value: Any) -> bytes | None:
    """16 bytes of `1-8hex-24hex`, or of the same 32 hex digits in W3C's form; None if it is neither, or all zero."""
    match = _TRACE_ID.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    epoch, rest, whole = match.groups()
    found = bytes.fromhex(whole or epoch + rest)
    return None if found == _NO_TRACE else found


def span_id(value: Any) -> int | None:
    """The id in 16 hex digits, which may be 0; None if it is anything else."""
    return int(value, 16) if isinstance(value, str) and _SPAN_ID.fullmatch(value) else None


def nanoseconds(value: Any) -> int | None:
    """Epoch nanoseconds of epoch seconds (number, or number in a string); exact to the microsecond, what a double
    carries at today's times. None if it is no time.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, (int, float)) or not 0 < value < _LAST_SECOND:
        return None
    return round(value * 1e6) * 1000


def text(value: Any) -> str:
    """A string; numbers as their text; anything else as ""."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e18 else ""


def integer(value: Any, missing: int, low: int, high: int) -> int:
    """An integer of `low`..`high` from a number or a string with one; `missing` if there is none."""
    if isinstance(value, str):
        try:
            value = float(value) if len(value) < 32 else None
        except ValueError:
            return missing
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
        return missing
    return int(value)


def flag(value: Any) -> bool:
    """A bool, also one written as 1 or "true"."""
    return (
        value is True or (isinstance(value, int) and value == 1) or (isinstance(value, str) and value.lower() == "true")
    )


def http(value: Any) -> tuple[Http | None, bool]:
    """The section and whether `request.traced` is set."""
    if not isinstance(value, dict):
        return None, False
    request, response = _section(value, "request"), _section(value, "response")
    found = Http(
        method=text(request.get("method")),
        url=text(request.get("url")),
        status=integer(response.get("status"), 0, 0, 999),
        content_length=integer(response.get("content_length"), -1, 0, (1 << 63) - 1),
        user_agent=text(request.get("user_agent")),
        client_ip=text(request.get("client_ip")),
        x_forwarded_for=flag(request.get("x_forwarded_for")),
    )
    return found, flag(request.get("traced"))


def sql(value: Any) -> Sql | None:
    if not isinstance(value, dict):
        return None
    return Sql(
        database_type=text(value.get("database_type")),
        url=text(value.get("url")),
        user=text(value.get("user")),
        query=text(value.get("sanitized_query")),
        database_version=text(value.get("database_version")),
        driver_version=text(value.get("driver_version")),
        connection_string=text(value.get("connection_string")),
        preparation=text(value.get("preparation")),
    )


def cause(value: Any) -> Cause | None:
    """All three forms: the id of an exception recorded below, an object of exceptions, an object with only an id."""
    if isinstance(value, str):
        return Cause(ref=value[:64]) if value else None
    if not isinstance(value, dict):
        return None
    listed = value.get("exceptions")
    exceptions = [_exception(item) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    paths = value.get("paths")
    found = Cause(
        exceptions=exceptions,
        ref="" if exceptions else text(value.get("id")),
        working_directory=text(value.get("working_directory")),
        paths=[item for item in paths if isinstance(item, str)] if isinstance(paths, list) else [],
    )
    return None if found == Cause() else found


def _exception(value: dict[str, Any]) -> ExceptionRecord:
    stack = value.get("stack")
    return ExceptionRecord(
        id=text(value.get("id")),
        type=text(value.get("type")),
        message=text(value.get("message")),
        remote=flag(value.get("remote")),
        stack=[
            Frame(text(frame.get("path")), integer(frame.get("line"), 0, 0, (1 << 31) - 1), text(frame.get("label")))
            for frame in (stack if isinstance(stack, list) else ())
            if isinstance(frame, dict)
        ],
        cause=text(value.get("cause")),
        truncated=integer(value.get("truncated"), 0, 0, (1 << 31) - 1),
        skipped=integer(value.get("skipped"), 0, 0, (1 << 31) - 1),
    )


def indexed(value: Any) -> tuple[dict[str, Annotation] | None, dict[str, Any]]:
    """The usable annotations, and the others, which metadata can hold. null says nothing and is dropped."""
    usable: dict[str, Annotation] = {}
    unusable: dict[str, Any] = {}
    for key, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, (str, int, float, bool)):
            usable[key] = plain(item)
        elif item is not None:
            unusable[key] = plain(item)
    return usable or None, unusable


def metadata(value: Any, extra: dict[str, Any]) -> dict[str, dict[str, Any]] | None:
    """{namespace: {key: JSON}}; a value without a namespace, and `extra`, go to "default"."""
    found: dict[str, dict[str, Any]] = {}
    loose: dict[str, Any] = {}
    for key, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, dict):
            found[key] = plain(item)
        else:
            loose[key] = plain(item)
    for key, item in (loose | extra).items():
        found.setdefault("default", {}).setdefault(key, item)
    return found if found or isinstance(value, dict) else None


def links(value: Any) -> list[Link] | None:
    found = []
    for item in value if isinstance(value, list) else ():
        if not isinstance(item, dict):
            continue
        trace, span = trace_id(item.get("trace_id")), span_id(item.get("id"))
        attributes = item.get("attributes")
        if trace is not None and span:
            found.append(Link(trace, span, plain(attributes) if isinstance(attributes, dict) and attributes else None))
    return found or None


def precursor_ids(value: Any) -> list[int] | None:
    found = [span_id(item) for item in value] if isinstance(value, list) else []
    return [item for item in found if item] or None


def _section(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
