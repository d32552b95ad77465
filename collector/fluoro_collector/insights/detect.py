"""Whether the faults of a service have left their band: for several minutes, and by more than single faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fluoro_collector.query.graph.outcomes import Counts

from .band import Band, Baseline

WINDOW = 5  # minutes looked at together
NEEDED = 3  # of them must have left the band
MIN_FAULTS = 5  # in those


class Expected(NamedTuple):
    """What is usual for a service: by its last day, and by the same hour of the days before, where that is known.

    What comes back at the same hour is usual then: the bands are joined.
    """

    recent: Baseline
    same_hour: Baseline | None = None

    def band(self, total: int) -> Band:
        """Faults that are usual among `total` requests."""
        found = self.recent.band(total)
        if self.same_hour is None:
            return found
        other = self.same_hour.band(total)
        return Band(min(found.low, other.low), max(found.high, other.high))

    @property
    def rate(self) -> float:
        """The usual share of faults."""
        return max(self.recent.rate, self.same_hour.rate if self.same_hour else 0.0)


class Verdict(NamedTuple):
    """Of the minutes of one window, oldest first: `out` says which left the band. `faults` and `requests` are of all."""

    out: tuple[bool, ...]
    faults: int
    requests: int
    anomalous: bool

    @property
    def share(self) -> float:
        """Of the requests that were faults."""
        return self.faults / self.requests if self.requests else 0.0


def judge(expected: Expected, minutes: Sequence[Counts]) -> Verdict:
    """What the last `WINDOW` minutes say (oldest first; those without requests are in the band)."""
    out = tuple(counts.fault > expected.band(counts.total).high for counts in minutes)
    beyond = sum(counts.fault for counts, left in zip(minutes, out, strict=True) if left)
    return Verdict(
        out,
        sum(counts.fault for counts in minutes),
        sum(counts.total for counts in minutes),
        sum(out) >= NEEDED and beyond >= MIN_FAULTS,
    )
