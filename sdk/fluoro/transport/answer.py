"""What the sender and its transports say to each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from fluoro.encoder import encode_batch
from fluoro.model import Resource, Segment

MAX_RETRY_AFTER_S = 60.0  # so that a wrong answer does not silence us


class Reply(NamedTuple):
    """`delivered`, or `retry` (after at least `retry_after_s`), or refused for good. `reason` is one short line.

    Of a delivered batch, `rejected` segments were not taken by the receiver, and `lost` never left this machine.
    """

    delivered: bool
    retry: bool = False
    retry_after_s: float = 0.0
    rejected: int = 0
    too_large: bool = False
    reason: str = ""
    lost: int = 0


class Encoded(NamedTuple):
    """What `send` takes. `lost` segments could not be encoded; `trimmed` ones go without their largest parts."""

    body: Any
    size: int  # bytes, with what was trimmed: what segments like these take in the queue
    lost: int = 0
    trimmed: int = 0


class Transport(Protocol):
    """Not for use by two threads at once. None of it raises for what a network or a server can do."""

    def encode(self, resource: Resource, segments: Sequence[Segment], pause: Callable[[], object]) -> Encoded:
        """`pause` is called now and then, to offer the GIL to the application."""
        ...

    def send(self, body: Any, timeout_s: float | None = None) -> Reply: ...

    def close(self) -> None: ...

    def forget(self) -> None:
        """In a forked child: what is open is the parent's, and is dropped without a word to the server."""
        ...


def native_batch(resource: Resource, segments: Sequence[Segment], pause: Callable[[], object]) -> Encoded:
    """A batch in our own encoding."""
    cut: list[int] = []
    body, lost = encode_batch(resource, segments, pause, cut)
    return Encoded(body, len(body) + sum(cut), lost, len(cut))


def rejected_of(answer: bytes, decode: Callable[[bytes], Any]) -> int:
    """How many segments of a native batch the collector did not take, by its answer. It took the batch, so an odd answer
    counts as none.
    """
    try:
        decoded = decode(answer)
    except ValueError:
        return 0
    if not isinstance(decoded, dict):
        return 0
    count, listed = decoded.get("rejected_count"), decoded.get("rejected")
    if isinstance(count, int):
        return count
    return len(listed) if isinstance(listed, list) else 0
