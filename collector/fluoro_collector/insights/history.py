"""What the services of one group did before: read once, kept by buckets, fitted when someone asks."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fluoro_collector.query.graph.outcomes import Outcomes, Source
from fluoro_collector.query.graph.service_graph import NodeKey

from .band import Baseline, fit
from .detect import Expected

BUCKET_S = 300
REACH_S = 86_400
# The newest minutes are left out: they are judged, and may hold the beginning of what is to be found.
APART_S = 900
SLICE_S = 6 * 3600  # read in one statement
DAYS = 7  # before today, looked at for the same hour
NEEDED_DAYS = 3  # that must have requests in it: what was there once may be an incident
HOUR = 3600

_Bucket = dict[NodeKey, tuple[int, int]]


class History:
    """Thread-safe; blocks on `source`. Late data is not read again: it is at most 15 minutes that may lack something.

    `oldest()` says before which moment there is nothing to read (epoch seconds).
    """

    def __init__(self, source: Source, oldest: Callable[[], int] = lambda: 0) -> None:
        self._source = source
        self._oldest = oldest
        self._lock = threading.Lock()
        self._buckets: dict[int, _Bucket] = {}
        self._days: dict[int, _Bucket] = {}

    def expected(self, minute: int) -> Callable[[NodeKey], Expected | None]:
        """What is usual at `minute` (epoch seconds), by node; None: it has been too quiet to tell.

        Nothing is read until a node is asked for. For use in this thread.
        """
        fitted: dict[NodeKey, Expected | None] = {}
        known: list[list[_Bucket]] = []

        def of(node: NodeKey) -> Expected | None:
            if node not in fitted:
                if not known:
                    known.extend(self._before(minute))
                fitted[node] = _expected(node, *known)
            return fitted[node]

        return of

    def _before(self, minute: int) -> tuple[list[_Bucket], list[_Bucket]]:
        """The buckets of the last day, and those of the same hour on the days before, oldest first."""
        end = (minute - APART_S) // BUCKET_S * BUCKET_S
        hour = minute // HOUR * HOUR
        with self._lock:
            self._read(self._buckets, [(end - REACH_S, end)])
            self._read(self._days, [(hour - day * 86_400, hour - day * 86_400 + HOUR) for day in range(1, DAYS + 1)])
            buckets = [self._buckets[moment] for moment in sorted(self._buckets)]
            return buckets, [self._days[moment] for moment in sorted(self._days)]

    def _read(self, kept: dict[int, _Bucket], ranges: list[tuple[int, int]]) -> None:
        """Make `kept` hold the buckets of these ranges and no others."""
        wanted = {moment for first, last in ranges for moment in range(first, last, BUCKET_S) if moment >= 0}
        if missing := sorted(wanted - kept.keys()):
            oldest = self._oldest()
            kept.update((moment, {}) for moment in missing if moment + BUCKET_S <= oldest)
            missing = [moment for moment in missing if moment + BUCKET_S > oldest]
        begin = 0
        for index in range(1, len(missing) + 1):
            ends = index == len(missing) or missing[index] != missing[index - 1] + BUCKET_S
            if ends or missing[index] - missing[begin] >= SLICE_S:
                found = self._source(missing[begin], missing[index - 1] + BUCKET_S, BUCKET_S, False)
                kept.update((moment, _bucket(outcomes)) for moment, outcomes in found.items())
                begin = index
        for moment in kept.keys() - wanted:
            del kept[moment]


def _bucket(outcomes: Outcomes) -> _Bucket:
    return {node: (counts.total, counts.fault) for node, counts in outcomes.nodes.items()}


def _expected(node: NodeKey, buckets: list[_Bucket], days: list[_Bucket]) -> Expected | None:
    recent = fit([bucket[node] for bucket in buckets if node in bucket])
    if recent is None:
        return None
    per_day = len(days) // DAYS
    by_day = [
        [bucket[node] for bucket in days[day * per_day : (day + 1) * per_day] if node in bucket] for day in range(DAYS)
    ]
    if sum(map(bool, by_day)) < NEEDED_DAYS:
        return Expected(recent)
    return Expected(recent, _same_hour([moment for day in by_day for moment in day]))


def _same_hour(moments: list[tuple[int, int]]) -> Baseline | None:
    return fit(moments)
