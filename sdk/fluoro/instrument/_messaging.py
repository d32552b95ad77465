"""How queues carry a trace: the header on a sent message, and a segment for each received one.

A received message is somebody's request. While it is worked on, a CONSUMER segment "process <queue>" of the worker's
service is current, whose parent is what sent the message. There is no call that says "I work on this message now", so a
list of received messages watches how it is read:

- `for message in messages`: the segment lasts for the body of the loop, however it is left;
- `messages[0]`, `messages.pop()`: until another message is taken, this one is deleted, or the worker polls again.

A message that was never taken has no segment, and none has two. The list is a list in all other ways: JSON, pickle,
copies, slices and comparison read it without taking anything. Gaps: code that first copies the messages one by one
(`list(messages)`, a comprehension) and works afterwards has taken them already; an exception that leaves the loop
is not seen by the segment.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, SupportsIndex, TypeVar

from fluoro import propagation
from fluoro.instrument._patch import guarded
from fluoro.model import Kind
from fluoro.recorder import Span, recorder

Message = TypeVar("Message")

# Modules that read a list without working on its members: boto3's resources read a response through the first three.
_READERS = frozenset({"botocore", "boto3", "jmespath", "json", "simplejson", "pprint", "reprlib"})


def consumer_span(operation: str, header: str | None, aws: dict[str, Any]) -> Span:
    """Begin to work on a message whose sender left `header` (`X-Amzn-Trace-Id`'s grammar); without one, a new trace."""
    span = recorder.begin_segment(operation, Kind.CONSUMER, propagation.parse_xray(header) if header else None)
    if span.recording:
        span.segment.aws = aws
    return span


class Delivery:
    """A message being worked on: its segment, the `source` it was received from, the `receipt` that deletes it."""

    __slots__ = ("by_index", "receipt", "source", "span")

    def __init__(self, span: Span, source: str, receipt: str, by_index: bool) -> None:
        self.span = span
        self.source = source
        self.receipt = receipt
        self.by_index = by_index

    def end(self) -> None:
        self.span.end()
        if _open.get() is self:
            _open.set(None)


_open: ContextVar[Delivery | None] = ContextVar("fluoro_delivery", default=None)


@guarded
def polled(source: str) -> None:
    """The worker asks `source` for messages: what it took by index before is done, and what it took from `source`."""
    delivery = _open.get()
    if delivery is not None and (delivery.by_index or delivery.source == source):
        delivery.end()


@guarded
def deleted(receipts: list[str]) -> None:
    """Messages were deleted. One that was taken by index is done; a loop goes on to its next turn first."""
    delivery = _open.get()
    if delivery is not None and delivery.by_index and delivery.receipt in receipts:
        delivery.end()


class Messages(list[Message]):
    """The received messages. `begin(message)` opens the segment of one; see the module for when."""

    __slots__ = ("_begin", "_source", "_taken")

    def __init__(self, messages: list[Message], source: str, begin: Callable[[Message], tuple[Span, str]]) -> None:
        super().__init__(messages)
        self._source = source
        self._begin = begin
        self._taken: dict[int, Message] = {}  # by identity, which is not used again while we hold the message

    def __iter__(self) -> Iterator[Message]:
        if sys._getframe(1).f_globals.get("__name__", "").partition(".")[0] in _READERS:  # noqa: SLF001
            return super().__iter__()
        return self._turns(super().__iter__())

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        found = super().__getitem__(index)
        if not isinstance(index, slice):
            self._take(found, by_index=True)
        return found

    def pop(self, index: SupportsIndex = -1) -> Message:
        found = super().pop(index)
        self._take(found, by_index=True)
        return found

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return list, (self[:],)

    def _turns(self, messages: Iterator[Message]) -> Iterator[Message]:
        for message in messages:
            delivery = self._take(message, by_index=False)
            try:
                yield message
            finally:  # also when the loop is left: then the generator is closed
                if delivery is not None:
                    delivery.end()

    @guarded
    def _take(self, message: Any, *, by_index: bool) -> Delivery | None:
        key = id(message)
        if key in self._taken:
            return None
        self._taken[key] = message
        before = _open.get()
        if before is not None and before.by_index:
            before.end()
        span, receipt = self._begin(message)
        delivery = Delivery(span, self._source, receipt, by_index)
        _open.set(delivery)
        return delivery
