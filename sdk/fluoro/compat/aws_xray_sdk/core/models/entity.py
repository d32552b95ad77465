"""What segments and subsegments have in common: a span of fluoro's recorder, as the SDK shows it.

An entity keeps nothing of its own but its children: attributes read and write the span's segment. Times are epoch seconds
(float), ids hex strings. What is written after the end raises AlreadyEndedException: it would not be sent.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from typing import Any

from fluoro.causes import exception_records
from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import AlreadyEndedException
from fluoro.compat.aws_xray_sdk.core.models import http
from fluoro.compat.aws_xray_sdk.core.models.trace_header import TraceHeader
from fluoro.compat.aws_xray_sdk.core.utils.conversion import metadata_to_dict
from fluoro.instrument import _http
from fluoro.model import Annotation, Cause, ExceptionRecord, Frame, Http, Kind, Resource, Segment
from fluoro.propagation import MAX_EXTRAS, Parent, parse_trace_id
from fluoro.recorder import Span, new_span_id, recorder
from fluoro.xray_document import to_document, trace_id

log = logging.getLogger(__name__)

MAX_CHILDREN = 100  # that an entity remembers; beyond it those that have ended are forgotten
max_trace_back = 10  # frames of an exception's stack; the recorder's setting

MAX_TEXT = 250  # characters of a method, user agent or address
MAX_NAME = 200

_SECOND = 1_000_000_000
_NOT_IN_NAMES = re.compile(r"[?;*()!$~^<>]")
_KEY = re.compile(r"[A-Za-z0-9_]*")


class Entity:
    def __init__(self, span: Span, name: str = "") -> None:
        """A view of `span`, that one's only. `name` is what an unsampled entity says it is called."""
        self._span = span
        self._name = name
        self._origin_trace_header: TraceHeader | None = None
        self.subsegments: list[Any] = []
        span.view = self

    # --- identity and state ---

    @property
    def span(self) -> Span:
        """Fluoro's own handle."""
        return self._span

    @property
    def _segment(self) -> Segment:
        return self._span.segment

    @property
    def id(self) -> str:
        return f"{self._segment.id:016x}"

    @id.setter  # noqa: A003  the original's name
    def id(self, value: str) -> None:
        if self._span.recording:
            self._segment.id = hex_id(value) or self._segment.id

    @property
    def trace_id(self) -> str:
        return trace_id(self._segment.trace_id)

    @trace_id.setter
    def trace_id(self, value: str) -> None:
        if self._span.recording:
            self._segment.trace_id = parse_trace_id(value)

    @property
    def parent_id(self) -> str | None:
        parent = self._segment.parent_id
        return f"{parent:016x}" if parent else None

    @parent_id.setter
    def parent_id(self, value: str | None) -> None:
        if self._span.recording:
            self._segment.parent_id = hex_id(value)

    @property
    def name(self) -> str:
        return self._segment.name if self._span.trace.recording else self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value
        if self._span.recording:
            self._segment.name = value

    @property
    def start_time(self) -> float:
        return self._segment.start / _SECOND

    @start_time.setter
    def start_time(self, value: float) -> None:
        if self._span.recording:
            self._segment.start = int(value * _SECOND)

    @property
    def end_time(self) -> float:
        return self._segment.end / _SECOND

    @property
    def in_progress(self) -> bool:
        return not self._span.ended

    @property
    def sampled(self) -> bool:
        return self._span.trace.sampled

    @sampled.setter
    def sampled(self, value: bool) -> None:
        """False: neither this entity nor what begins below it from now on is sent. The other way has no effect."""
        if not value and self._span.recording:
            self._name = self._segment.name
            self._span.recording = False
            self._span.trace = recorder.remote(Parent(self._segment.trace_id, self._segment.id, False)).trace

    # --- content ---

    @property
    def annotations(self) -> dict[str, Annotation]:
        segment = self._segment
        if self._span.recording and segment.annotations is None:
            segment.annotations = {}
        return segment.annotations or {} if not self._span.recording else segment.annotations  # type: ignore[return-value]

    @annotations.setter
    def annotations(self, value: dict[str, Annotation]) -> None:
        if self._span.recording:
            self._segment.annotations = dict(value)

    @property
    def metadata(self) -> dict[str, dict[str, Any]]:
        segment = self._segment
        if self._span.recording and segment.metadata is None:
            segment.metadata = {}
        return segment.metadata or {} if not self._span.recording else segment.metadata  # type: ignore[return-value]

    @metadata.setter
    def metadata(self, value: dict[str, dict[str, Any]]) -> None:
        if self._span.recording:
            self._segment.metadata = dict(value)

    @property
    def http(self) -> dict[str, dict[str, Any]]:
        """A copy, in the shape of the document."""
        return dict(self.to_dict().get("http", {}))

    @http.setter
    def http(self, value: dict[str, dict[str, Any]]) -> None:
        for section in value.values():
            for key, item in section.items():
                self.put_http_meta(key, item)

    @property
    def aws(self) -> dict[str, Any]:
        return self._segment.aws or {}

    @aws.setter
    def aws(self, value: dict[str, Any]) -> None:
        self.set_aws(value)

    @property
    def cause(self) -> dict[str, Any] | str:
        """A copy, in the shape of the document; the id of an exception that a child has."""
        found: dict[str, Any] | str = self.to_dict().get("cause", {})
        return found

    @property
    def error(self) -> bool:
        return self._segment.error

    @error.setter
    def error(self, value: bool) -> None:
        if self._span.recording:
            self._segment.error = bool(value)

    @property
    def fault(self) -> bool:
        return self._segment.fault

    @fault.setter
    def fault(self, value: bool) -> None:
        if self._span.recording:
            self._segment.fault = bool(value)

    @property
    def throttle(self) -> bool:
        return self._segment.throttle

    @throttle.setter
    def throttle(self, value: bool) -> None:
        if self._span.recording:
            self._segment.throttle = bool(value)

    def put_annotation(self, key: str, value: Annotation) -> None:
        """Index `value` (str, int, float or bool) under `key` (letters, digits, "_"). Anything else is left out, with a
        warning.
        """
        self._check_ended()
        if not isinstance(key, str):
            log.warning("ignoring non string type annotation key with type %s.", type(key))
        elif not isinstance(value, (str, int, float, bool)):
            log.warning("ignoring unsupported annotation value type %s.", type(value))
        elif _KEY.fullmatch(key) is None:
            log.warning("ignoring annotation with unsupported characters in key: '%s'.", key)
        else:
            self._span.annotate(key, value)

    def put_metadata(self, key: str, value: Any, namespace: str = "default") -> None:
        """Attach `value`, shown and not searchable. Namespaces that begin with "AWS." are reserved and left out."""
        self._check_ended()
        if not isinstance(namespace, str):
            log.warning("ignoring non string type metadata namespace")
        elif namespace.startswith("AWS."):
            log.warning("Prefix 'AWS.' is reserved, drop metadata with namespace %s", namespace)
        else:
            self._span.metadata(key, value, namespace)

    def put_http_meta(self, key: str, value: Any) -> None:
        """`key` is one of `models.http`; of a URL the credentials and the query string go. A status sets the flags."""
        self._check_ended()
        if value is None:
            return
        if key not in http.request_keys + http.response_keys:
            log.warning("ignoring unsupported key %s in http meta.", key)
            return
        if key == http.STATUS:
            value = int(value)
            self.apply_status_code(value)
        if not self._span.recording:
            return
        segment = self._segment
        found = segment.http
        if found is None:
            found = segment.http = Http()
        match key:
            case http.URL:
                text = str(value)
                found.url = _http.target(text)[1] or text.partition("?")[0][: _http.MAX_URL]
            case http.CONTENT_LENGTH:
                found.content_length = _http.content_length(str(value))
            case http.X_FORWARDED_FOR:
                found.x_forwarded_for = bool(value)
            case http.STATUS:
                found.status = value
            case _:
                setattr(found, key, str(value)[:MAX_TEXT])

    def set_aws(self, aws_meta: dict[str, Any]) -> None:
        self._check_ended()
        if self._span.recording:
            self._segment.aws = dict(aws_meta)

    # --- outcome ---

    def add_throttle_flag(self) -> None:
        if self._span.recording:
            self._segment.throttle = True

    def add_fault_flag(self) -> None:
        if self._span.recording:
            self._segment.fault = True

    def add_error_flag(self) -> None:
        if self._span.recording:
            self._segment.error = True

    def apply_status_code(self, status_code: int | None) -> None:
        """5xx is a fault, 429 throttled and an error, any other 4xx an error."""
        self._check_ended()
        if status_code and self._span.recording:
            _http.record_status(self._segment, status_code)

    def add_exception(self, exception: Any, stack: Iterable[Any] | None, remote: bool = False) -> None:
        """`exception` is the cause, and this a fault. Its own traceback is recorded; `stack` (as `traceback` extracts it)
        is where it has none.
        """
        self._check_ended()
        if not self._span.recording:
            return
        self.add_fault_flag()
        if not isinstance(exception, BaseException):
            record = ExceptionRecord(f"{new_span_id():016x}", type(exception).__name__, str(exception), remote)
            self._add_records([record], stack)
        elif exception.__traceback__ is None and stack:
            self._add_records(exception_records(exception, new_span_id(), remote=remote), stack)
        else:
            self._span.record_exception(exception, remote=remote)
        _shorten(self._segment.cause)

    def _add_records(self, records: list[ExceptionRecord], stack: Iterable[Any] | None) -> None:
        records[0].stack = [Frame(str(frame[0]), frame[1] or 0, str(frame[2])) for frame in reversed(list(stack or ()))]
        if self._segment.cause is None:
            self._segment.cause = Cause(records)
        else:
            self._segment.cause.exceptions.extend(records)

    # --- life ---

    def add_subsegment(self, subsegment: Any) -> None:
        """`subsegment` is a child of this."""
        subsegment.parent_id = self.id
        self.subsegments.append(subsegment)
        if len(self.subsegments) > MAX_CHILDREN:
            self.subsegments = [child for child in self.subsegments if child.in_progress]

    def remove_subsegment(self, subsegment: Any) -> None:
        """Forget a child; it is sent all the same."""
        self.subsegments.remove(subsegment)

    def close(self, end_time: float | None = None) -> None:
        """End and send, at `end_time` or now."""
        self._check_ended()
        span, segment = self._span, self._segment
        if span.recording:
            if segment.metadata:
                segment.metadata = metadata_to_dict(segment.metadata)
            self._describe(segment)
        span.end(int(end_time * _SECOND) if end_time else 0)

    def _describe(self, segment: Segment) -> None:
        """The operation, which the SDK has no word for."""
        if segment.operation:
            return
        if segment.aws and segment.namespace == "aws":
            segment.operation = str(segment.aws.get("operation") or "")
        elif segment.http is not None and segment.http.method:
            method = _http.known_method(segment.http.method)
            segment.operation = method if segment.subsegment else f"{method} {_http.UNMATCHED}"
            segment.kind = Kind.CLIENT if segment.subsegment else Kind.SERVER

    def save_origin_trace_header(self, trace_header: TraceHeader) -> None:
        """Items of the caller's header that are not ours are passed on."""
        self._origin_trace_header = trace_header
        if self._span.recording and trace_header.data:
            extras = ";".join(f"{key}={value}" for key, value in trace_header.data.items())
            if len(extras) <= MAX_EXTRAS and extras.isascii() and extras.isprintable():
                self._span.trace.extras = extras

    def get_origin_trace_header(self) -> TraceHeader | None:
        return self._origin_trace_header

    def to_dict(self) -> dict[str, Any]:
        """The X-Ray document of this entity alone."""
        return to_document(self._segment, Resource())

    def serialize(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), default=str)

    def _check_ended(self) -> None:
        if self._span.ended:
            raise AlreadyEndedException("Already ended segment and subsegment cannot be modified.")


def clean(name: str) -> str:
    """`name` without the characters that X-Ray refuses."""
    found = _NOT_IN_NAMES.sub("", name)
    if found != name:
        log.warning("%s has characters that X-Ray does not allow in a name; they are left out", name)
    return found[:MAX_NAME]


def hex_id(text: str | None) -> int:
    """16 hex digits as a number; 0 for anything else."""
    try:
        return int(text or "0", 16) & 0xFFFF_FFFF_FFFF_FFFF
    except ValueError:
        return 0


def _shorten(cause: Cause | None) -> None:
    for record in () if cause is None else cause.exceptions:
        cut = len(record.stack) - max_trace_back
        if cut > 0:
            record.stack = record.stack[:max_trace_back]
            record.truncated += cut
