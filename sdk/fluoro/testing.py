"""For tests of instrumented code: collect the finished segments, and let nothing slip.

    with fluoro.testing.capture() as spans:
        client.get("/orders/7")
        (served,) = spans.take()

Inside, finished segments go to `spans` and not to a collector, and a bug of fluoro raises where it happens. Leaving the
block fails if a span was left open or a finished segment was never looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fluoro import diagnostics
from fluoro.context import current_node
from fluoro.model import Segment
from fluoro.recorder import recorder


class Spans:
    """The segments finished since `capture` began, in the order in which they ended."""

    def __init__(self) -> None:
        self._finished: list[Segment] = []

    def put(self, segment: Segment) -> None:
        self._finished.append(segment)

    def take(self, count: int | None = None, *, timeout_s: float = 5.0) -> list[Segment]:
        """All unread segments, which then count as read. With `count`, waits until there are that many (for work that
        ends in another thread) and fails when there are not, or more.
        """
        if count is not None:
            deadline = time.monotonic() + timeout_s
            while len(self._finished) < count and time.monotonic() < deadline:
                time.sleep(0.002)
            if len(self._finished) != count:
                raise AssertionError(f"expected {count} segments, got {len(self._finished)}: {self.describe()}")
        taken, self._finished = self._finished, []
        return taken

    def one(self, where: Callable[[Segment], bool] | None = None, *, timeout_s: float = 5.0) -> Segment:
        """The single unread segment, or the single one `where` holds for (the others stay unread)."""
        if where is None:
            return self.take(1, timeout_s=timeout_s)[0]
        deadline = time.monotonic() + timeout_s
        found = [segment for segment in self._finished if where(segment)]
        while not found and time.monotonic() < deadline:
            time.sleep(0.002)
            found = [segment for segment in self._finished if where(segment)]
        if len(found) != 1:
            raise AssertionError(f"expected one such segment, got {len(found)} of: {self.describe()}")
        self._finished.remove(found[0])
        return found[0]

    def describe(self) -> str:
        """The unread segments, one line each."""
        lines = [f"{segment.kind.name} {segment.name!r} {segment.operation!r}" for segment in self._finished]
        return "; ".join(lines) or "none"


@contextmanager
def capture(service_name: str = "test") -> Iterator[Spans]:
    """Swap the recorder's sink for the block. Raises AssertionError at its end for an open span or unread segments,
    unless the block itself raised.
    """
    spans = Spans()
    names = recorder.__slots__
    before, strict = [getattr(recorder, name) for name in names], diagnostics.strict
    token = current_node.set(None)
    recorder.configure(service_name=service_name, sink=spans.put)
    diagnostics.strict = True
    try:
        yield spans
        left_open = recorder.current()
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(recorder, name, value)
        diagnostics.strict = strict
        current_node.reset(token)
    if left_open is not None:
        raise AssertionError(f"left open: {left_open.segment.name!r} {left_open.segment.operation!r}")
    unread = spans.describe()
    if unread != "none":
        raise AssertionError(f"never looked at: {unread}")
