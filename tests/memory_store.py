"""A store in memory for tests of what stands above the store: it keeps blocks and can be told to fail or wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from fluoro.model import Resource, Segment
from fluoro_collector.decode.decoded import Decoded, Rejection

Batches = list[tuple[Resource, list[Segment]]]


class MemoryStore:
    """`refuse(segments)` may raise for a block; `gate` holds inserts while it is cleared; `entered` counts them."""

    def __init__(self) -> None:
        self.blocks: list[list[Segment]] = []
        self.tokens: list[str] = []
        self.attempts = 0
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.refuse: Callable[[list[Segment]], None] = lambda _: None

    def insert(self, batches: Batches, token: str) -> None:
        self.attempts += 1
        self.entered.release()
        assert self.gate.wait(30)
        segments = [segment for _, each in batches for segment in each]
        self.refuse(segments)
        self.tokens.append(token)
        self.blocks.append(segments)

    def ids(self) -> list[int]:
        return [segment.id for block in self.blocks for segment in block]


def make_segment(number: int, **fields: object) -> Segment:
    """A valid segment with id `number`, made now."""
    now = time.time_ns()
    trace_id = (now // 1_000_000_000).to_bytes(4, "big") + number.to_bytes(12, "big")
    values: dict[str, object] = {"parent_id": 0, "name": "shop", "start": now - 1_000_000, "end": now} | fields
    return Segment(trace_id=trace_id, id=number, **values)  # type: ignore[arg-type]


def make_decoded(*numbers: int, rejections: tuple[Rejection, ...] = ()) -> Decoded:
    """One batch with a valid segment for each number."""
    segments = [make_segment(number) for number in numbers]
    return Decoded([(Resource(service_name="shop"), segments)] if segments else [], list(rejections))
