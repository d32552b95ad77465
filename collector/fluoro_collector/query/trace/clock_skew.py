"""How far the clocks of hosts are apart, from what cannot be: work that began before it was asked for, or ended after its
caller had the answer. Pure.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

TOLERANCE = 1_000_000  # ns; what is less is the resolution of clocks and of documents
_UNBOUNDED = 1 << 62


@dataclass
class _Bounds:
    """What may be added to the callee's times so that every call holds its work."""

    low: int = -_UNBOUNDED  # every pair raises it
    high: int = _UNBOUNDED

    def offset(self) -> int:
        if self.low > self.high + TOLERANCE:
            return 0  # calls contradict each other: it is something else than a clock
        if self.low <= TOLERANCE and self.high >= -TOLERANCE:
            return 0
        if self.high == _UNBOUNDED:
            return self.low
        return (self.low + self.high) // 2


def clock_offsets(
    parents: Sequence[int],
    starts: Sequence[int],
    ends: Sequence[int],
    waited_for: Sequence[bool],
    clocks: Sequence[Hashable],
) -> dict[Hashable, int]:
    """Clock → ns to add to its times, relative to the clock of the first row; only clocks that are off.

    Rows are depth first, parents before children. `ends` are 0 in progress. `waited_for`: somebody waits for this row,
    so it must end before its parent does. Each pair of a row and a child with another clock bounds the difference of the
    two; all pairs together leave an interval, of which the middle is taken: a call takes as long to go as to return.
    A child that took longer than its parent says nothing by its end: the caller gave up.
    """
    bounds: dict[tuple[Hashable, Hashable], _Bounds] = {}
    for index, parent in enumerate(parents):
        if parent < 0 or clocks[index] == clocks[parent]:
            continue
        pair = bounds.setdefault((clocks[parent], clocks[index]), _Bounds())
        pair.low = max(pair.low, starts[parent] - starts[index])
        finished = ends[index] and ends[parent]
        if finished and waited_for[index] and ends[index] - starts[index] <= ends[parent] - starts[parent]:
            pair.high = min(pair.high, ends[parent] - ends[index])
    offsets: dict[Hashable, int] = {}
    for (caller, callee), pair in bounds.items():
        known = offsets.setdefault(caller, 0)
        offsets.setdefault(callee, known + pair.offset())
    return {clock: offset for clock, offset in offsets.items() if offset}
