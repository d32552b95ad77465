"""How queues carry a trace: the header on a sent message, and a segment for each received one.

A received message is somebody's request. While it is worked on, a CONSUMER segment "process <queue>" of the worker's
service is current, whose parent is what sent the message. There is no call that says "I work on this message now", so a
list of received messages watches how it is read:

- `for message in messages`: the segment lasts for the body of the loop, however it is left;
- `messages[0]`, `messages.pop()`: until another message is taken, this one is deleted, or the worker polls again;
- `list(messages)`, `a, b = messages`: all are taken at once. A single message continues its sender's trace; several
  are one segment of a new trace with a link to each sender. It lasts until all are deleted or the worker polls again.

A message that was never taken has no segment, and none has two. The list is a list in all other ways: JSON, pickle,
copies, slices and comparison read it without taking anything. Gaps: a comprehension that copies the messages looks like
a loop and takes them one by one; an exception that leaves the loop is not seen by the segment.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from typing import Any, SupportsIndex, TypeVar

from fluoro import propagation
from fluoro.instrument._patch import guarded
from fluoro.model import Kind, Link
from fluoro.propagation import Parent
from fluoro.recorder import Span, recorder

Message = TypeVar("Message")

# Modules that read a list without working on its members: resources read a response through the first five.
_READERS = frozenset(
    {"botocore", "boto3", "aiobotocore", "aioboto3", "jmespath", "json", "simplejson", "pprint", "reprlib"}
)


def consumer_span(operation: str, header: str | Parent | None, aws: dict[str, Any]) -> Span:
    """Begin to work on a message whose sender left `header` (`X-Amzn-Trace-Id`'s grammar, or what was read from it);
    without one, a new trace.
    """
    parent = propagation.parse_xray(header) if isinstance(header, str) else header
    span = recorder.begin_segment(operation, Kind.CONSUMER, parent)
    if span.recording:
        span.segment.aws = aws
    return span


def batch_span(operation: str, parents: Collection[Parent | None], aws: dict[str, Any]) -> Span:
    """Begin to work on several messages at once: a new trace that is linked to each sender. Not recorded when no sender
    was.
    """
    known = [parent for parent in parents if parent is not None]
    unsampled = len(known) == len(parents) and all(parent.sampled is False for parent in known)
    span = consumer_span(operation, known[0] if unsampled else None, aws)
    if span.recording:
        links = {(parent.trace_id, parent.id): None for parent in known if parent.sampled is not False}
        span.segment.links = [Link(trace_id, span_id) for trace_id, span_id in links] or None
    return span


class Delivery:
    """What is being worked on: its segment, the `source` it was received from, the `receipts` that delete it.

    `by_index`: it ends with what the worker does next, and not with the turn of a loop.
    """

    __slots__ = ("by_index", "receipts", "source", "span")

    def __init__(self, span: Span, source: str, receipts: Collection[str], by_index: bool) -> None:
        self.span = span
        self.source = source
        self.receipts = set(receipts)
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
    """Messages were deleted. What was taken by index is done when all of it is; a loop goes on to its next turn first."""
    delivery = _open.get()
    if delivery is not None and delivery.by_index:
        delivery.receipts.difference_update(receipts)
        if not delivery.receipts:
            delivery.end()


class Messages(list[Message]):
    """The received messages; see the module for what taking one means.

    `begin(messages)` opens the segment of those and returns it with the receipts that delete them.
    """

    __slots__ = ("_begin", "_source", "_taken")

    def __init__(
        self,
        messages: list[Message],
        source: str,
        begin: Callable[[list[Message]], tuple[Span, Collection[str]]],
    ) -> None:
        super().__init__(messages)
        self._source = source
        self._begin = begin
        self._taken: dict[int, Message] = {}  # by identity, which is not used again while we hold the message

    def __iter__(self) -> Iterator[Message]:
        caller = sys._getframe(1)  # noqa: SLF001
        if caller.f_globals.get("__name__", "").partition(".")[0] in _READERS:
            return super().__iter__()
        return self._turns(super().__iter__(), id(caller), caller.f_lasti)

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        found: Any = super().__getitem__(index)
        if not isinstance(index, slice):
            self._take([found], by_index=True)
        return found

    def pop(self, index: SupportsIndex = -1) -> Message:
        found = super().pop(index)
        self._take([found], by_index=True)
        return found

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return list, (self[:],)

    def _turns(self, messages: Iterator[Message], frame: int, instruction: int) -> Iterator[Message]:
        caller = sys._getframe(1)  # noqa: SLF001
        if id(caller) == frame and caller.f_lasti == instruction:
            # The first message is asked for in the very instruction that asked for the iterator. A loop does the two
            # in two; this is a call in C that takes all there are, as `list` does.
            self._take(list(super().__iter__()), by_index=True)
            yield from messages
            return
        for message in messages:
            delivery = self._take([message], by_index=False)
            try:
                yield message
            finally:  # also when the loop is left: then the generator is closed
                if delivery is not None:
                    delivery.end()

    @guarded
    def _take(self, messages: list[Message], *, by_index: bool) -> Delivery | None:
        new = [message for message in messages if id(message) not in self._taken]
        if not new:
            return None
        self._taken.update((id(message), message) for message in new)
        before = _open.get()
        if before is not None and before.by_index:
            before.end()
        span, receipts = self._begin(new)
        delivery = Delivery(span, self._source, receipts, by_index)
        _open.set(delivery)
        return delivery
