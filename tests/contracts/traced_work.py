"""Work that a pool can take to another process: a spawned one must be able to import it."""

from __future__ import annotations

from fluoro.recorder import recorder


def work(label: str = "work") -> tuple[bytes, int]:
    """Do something traced; the trace and the parent that it hung below."""
    with recorder.begin(label) as span:
        return span.segment.trace_id, span.segment.parent_id
