from __future__ import annotations

import sys
import traceback


def get_stacktrace(limit: int | None = None) -> list[traceback.FrameSummary]:
    """The caller's stack, oldest frame first, and then the handled exception's. Of it the newest `limit` frames; a
    negative `limit` takes the oldest.
    """
    if limit == 0:
        return []
    stack = list(traceback.extract_stack())[:-1]
    trace = sys.exc_info()[2]
    if trace is not None:
        stack += traceback.extract_tb(trace)
    if limit is None:
        return stack
    return stack[-limit:] if limit > 0 else stack[:-limit]
