"""What the middlewares add to fluoro's instrumentation of a web framework: the trace in each response's headers."""

from __future__ import annotations

from collections.abc import MutableMapping

from fluoro.compat.aws_xray_sdk.core.models.http import XRAY_HEADER
from fluoro.propagation import write_xray_answer
from fluoro.recorder import recorder


def tell_trace(headers: MutableMapping[str, str]) -> None:
    """Name the trace; a caller that asked for more with `Sampled=?` is answered by the instrumentation."""
    span = recorder.current()
    if span is not None and not span.trace.asked:
        headers[XRAY_HEADER] = write_xray_answer(span.segment.trace_id, span.trace.sampled, asked=False)
