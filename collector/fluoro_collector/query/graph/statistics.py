"""Counts and durations of one node, edge or moment, and how two of them add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fluoro_collector.store.histogram import described, quantile, quantiles

# Columns in which `graph_minutes.sql`, nodes_1m and edges_1m keep them. Times in ns.
FIGURES = ("ok", "error", "throttle", "fault", "total", "total_time", "histogram")
QUANTILES = (0.5, 0.95, 0.99)


class Statistics:
    """A sum in the making. `error` excludes `throttle`: ok + error + throttle + fault = total."""

    __slots__ = ("error", "fault", "histogram", "ok", "throttle", "total", "total_time")

    def __init__(self) -> None:
        self.ok = self.error = self.throttle = self.fault = self.total = self.total_time = 0
        self.histogram: dict[int, int] = {}

    def add(self, figures: tuple[Any, ...]) -> None:
        """Add one row's values of `FIGURES`, in that order."""
        ok, error, throttle, fault, total, total_time, histogram = figures
        self.ok += ok
        self.error += error
        self.throttle += throttle
        self.fault += fault
        self.total += total
        self.total_time += total_time
        mine = self.histogram
        if not mine:
            mine.update(histogram)
            return
        for bucket, count in histogram.items():
            mine[bucket] = mine.get(bucket, 0) + count

    def quantile(self, share: float) -> float | None:
        """Seconds, at most 9 % off; None when nothing finished."""
        return quantile(self.histogram, share)

    def quantiles(self, shares: Sequence[float]) -> list[float | None]:
        """`quantile` for each of `shares`."""
        return quantiles(self.histogram, shares)


class Figures(msgspec.Struct, kw_only=True):
    """The part that nodes and edges share in an answer. Durations in seconds; quantiles are null when nothing finished."""

    ok: int
    error: int
    throttle: int
    fault: int
    total: int
    total_time: float
    p50: float | None
    p95: float | None
    p99: float | None
    histogram: list[tuple[float, int]]


def figures(sums: Statistics) -> dict[str, Any]:
    """The fields of `Figures`."""
    points, (p50, p95, p99) = described(sums.histogram, QUANTILES)
    return {
        "ok": sums.ok,
        "error": sums.error,
        "throttle": sums.throttle,
        "fault": sums.fault,
        "total": sums.total,
        "total_time": sums.total_time / 1e9,
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "histogram": points,
    }
