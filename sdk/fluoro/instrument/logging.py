"""logging: every record says to which trace it belongs.

`record.trace_id` (as X-Ray writes it, `1-8hex-24hex`: what the dashboard's search takes) and `record.span_id` (16 hex),
both "" outside a trace, for a format like `%(asctime)s %(trace_id)s %(message)s`; formatters that write every attribute
of a record as JSON show them by themselves. What the application sets under these names (`extra=`) is left alone.
"""

from __future__ import annotations

from fluoro.context import current_node
from fluoro.instrument._replaced import wrap_plain

TYPE_CHECKING = False  # part of what every traced process loads
if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import LogRecord
    from types import ModuleType
    from typing import Any


def patch(module: ModuleType) -> None:
    wrap_plain(module.Logger, "makeRecord", _make_record)


def _make_record(original: Callable[..., LogRecord], *args: Any, **kwargs: Any) -> LogRecord:
    record = original(*args, **kwargs)
    trace_id, span_id = _ids()
    attributes = vars(record)
    attributes.setdefault("trace_id", trace_id)
    attributes.setdefault("span_id", span_id)
    return record


def _ids() -> tuple[str, str]:
    if current_node.get() is None:
        return "", ""
    from fluoro.recorder import recorder

    span = recorder.current()
    if span is None:
        return "", ""
    trace_id = span.segment.trace_id.hex()
    return f"1-{trace_id[:8]}-{trace_id[8:]}", f"{span.segment.id:016x}"
