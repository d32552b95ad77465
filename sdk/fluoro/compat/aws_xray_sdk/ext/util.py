"""What the SDK's integrations are made of, for programs that have written their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from wrapt import ObjectProxy

from fluoro.compat.aws_xray_sdk.core.models import http
from fluoro.compat.aws_xray_sdk.core.models.trace_header import TraceHeader
from fluoro.instrument._http import xray_header

UNKNOWN_HOSTNAME = "UNKNOWN HOST"
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[^_])(?=[A-Z][a-z])")


def inject_trace_header(headers: MutableMapping[str, str], entity: Any) -> None:
    """Let a request with these headers belong to `entity`; None changes nothing."""
    if entity:
        headers[http.XRAY_HEADER] = xray_header(entity.span)


def calculate_sampling_decision(trace_header: TraceHeader, recorder: Any, sampling_req: dict[str, Any]) -> int | str:
    """The caller's decision, or else the recorder's: 0, 1 or the name of a rule. `sampling_req`: host, method, path,
    service.
    """
    if trace_header.sampled is not None and trace_header.sampled != "?":
        return trace_header.sampled
    if not recorder.sampling:
        return 1
    decision: int | str = recorder.sampler.should_trace(sampling_req)
    return decision or 0


def construct_xray_header(headers: Mapping[str, str]) -> TraceHeader:
    """The caller in a request's headers, as HTTP or WSGI spells them; an empty one without."""
    return TraceHeader.from_header_str(headers.get(http.XRAY_HEADER) or headers.get(http.ALT_XRAY_HEADER))


def calculate_segment_name(host_name: str | None, recorder: Any) -> str | None:
    """By dynamic naming if there is one; otherwise the service."""
    name: str | None = recorder.dynamic_naming.get_name(host_name) if recorder.dynamic_naming else recorder.service
    return name


def prepare_response_header(origin_header: TraceHeader | None, segment: Any) -> str:
    """What a server tells its caller: the trace, and the decision if it was asked for."""
    asked = origin_header is not None and origin_header.sampled == "?"
    return TraceHeader(root=segment.trace_id, sampled=segment.sampled if asked else None).to_header_str()


def to_snake_case(name: str) -> str:
    """`TableName` → `table_name`."""
    return _WORD.sub("_", name).lower()


def strip_url(url: str) -> str:
    """Without the query."""
    return url.partition("?")[0] if url else url


def get_hostname(url: str | None) -> str:
    return (urlsplit(url).hostname if url else None) or UNKNOWN_HOSTNAME


def unwrap(obj: Any, attr: str) -> None:
    """Take back a patch that was made with wrapt."""
    found = getattr(obj, attr, None)
    if isinstance(found, ObjectProxy) and hasattr(found, "__wrapped__"):
        setattr(obj, attr, found.__wrapped__)
