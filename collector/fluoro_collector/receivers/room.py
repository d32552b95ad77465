"""How many bytes of requests all doors together hold in memory."""

from __future__ import annotations

from fluoro_collector.receivers.refusal import Refusal


class Room:
    """`total` bytes for what is being read or answered. Belongs to the event loop."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.held = 0

    def take(self, size: int) -> None:
        """Counts `size` in. Raises Refusal (BufferFull) when that is too much; it is counted all the same."""
        self.held += size
        if self.held > self.total:
            raise Refusal("BufferFull", "the collector is holding as much as it may (BufferFull)", 1.0)

    def give_back(self, size: int) -> None:
        self.held -= size
