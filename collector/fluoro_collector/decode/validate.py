"""The last check before a segment is stored, the same for every door."""

from __future__ import annotations

import msgspec

from fluoro.model import Resource, Segment
from fluoro_collector.decode.decoded import Rejection
from fluoro_collector.decode.limits import MAX_RESOURCE_BYTES, MAX_SEGMENT_BYTES

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
MAX_AGE = 30 * DAY
MAX_AHEAD = DAY
MAX_NAME = 200
MAX_DURATION = 366 * DAY

MAX_TEXT = 4_096  # characters of a text that the store keeps in a dictionary: operation, origin, version, …
MAX_ANNOTATIONS = 1_000
SMALL_BYTES = MAX_RESOURCE_BYTES  # a smaller request can have nothing that is too large

_encode = msgspec.msgpack.Encoder().encode
_ID_LIMIT = 1 << 64
_NO_TRACE = bytes(16)


def check(segment: Segment, now_ns: int, max_age_ns: int = MAX_AGE, max_ahead_ns: int = MAX_AHEAD) -> Rejection | None:
    """Why `segment` cannot be stored, or None. Changes nothing.

    Refused: ids of the wrong length or zero, a segment that is its own parent, no name or one over 200 characters,
    a start before `now_ns - max_age_ns` or after `now_ns + max_ahead_ns`, no end although it is not in progress, a
    duration over a year, an HTTP status outside 0..65535, more than 1,000 annotations. An end *before* the start is kept: clocks do step back, and
    readers show a duration of zero.
    """
    if len(segment.trace_id) != 16 or segment.trace_id == _NO_TRACE:
        return _reject(segment, "InvalidTraceId", "the trace id is not 16 bytes, or zero")
    if not 0 < segment.id < _ID_LIMIT:
        return _reject(segment, "MissingId", "the id is zero or not 64 bits")
    if not 0 <= segment.parent_id < _ID_LIMIT:
        return _reject(segment, "InvalidSegment", "the parent id is not 64 bits")
    if segment.parent_id == segment.id:
        return _reject(segment, "InvalidSegment", "the segment is its own parent")
    if not segment.name:
        return _reject(segment, "MissingName", "the name is empty")
    if len(segment.name) > MAX_NAME:
        return _reject(segment, "InvalidName", f"the name has more than {MAX_NAME} characters")
    if not now_ns - max_age_ns <= segment.start <= now_ns + max_ahead_ns:
        return _reject(segment, "InvalidTime", "the start is too old or too far in the future")
    if segment.end < 0 or (segment.end == 0 and not segment.in_progress):
        return _reject(segment, "InvalidTime", "there is no end and the segment is not in progress")
    if segment.end - segment.start > MAX_DURATION:
        return _reject(segment, "InvalidTime", "the duration is over a year")
    if segment.http is not None and not 0 <= segment.http.status <= 65535:
        return _reject(segment, "InvalidSegment", "the HTTP status is not between 0 and 65535")
    if segment.annotations is not None and len(segment.annotations) > MAX_ANNOTATIONS:
        return _reject(segment, "InvalidSegment", f"there are more than {MAX_ANNOTATIONS} annotations")
    return None


def check_size(segment: Segment) -> Rejection | None:
    """Why `segment` is too large to be stored, or None: its text fields, then all of it. For requests over SMALL_BYTES.

    A trace is read as a whole, and the texts of its segments are compared for every search: one that takes megabytes
    would be paid for by everybody who looks at the list it is in.
    """
    http = segment.http
    texts = [segment.operation, segment.origin, segment.namespace, segment.service, segment.user]
    if http is not None:
        texts += (http.method, http.user_agent, http.client_ip, http.route)
    if max(map(len, texts)) > MAX_TEXT:
        return _reject(segment, "TooLarge", f"a text such as the operation has more than {MAX_TEXT} characters")
    if len(_encode(segment)) > MAX_SEGMENT_BYTES:
        return _reject(segment, "TooLarge", f"the segment has more than {MAX_SEGMENT_BYTES} bytes")
    return None


def check_resource(resource: Resource) -> str:
    """Why no segment of `resource` can be stored, "" if they can. For requests over SMALL_BYTES."""
    if len(_encode(resource)) > MAX_RESOURCE_BYTES:
        return f"the resource has more than {MAX_RESOURCE_BYTES} bytes"
    texts = (resource.service_name, resource.service_version, resource.environment, resource.host)
    return f"a text of the resource has more than {MAX_TEXT} characters" if max(map(len, texts)) > MAX_TEXT else ""


def _reject(segment: Segment, code: str, message: str) -> Rejection:
    return Rejection(code, message, f"{segment.id:016x}" if 0 < segment.id < _ID_LIMIT else "")
