"""Counts and durations of one node, edge or moment, and how two of them add up."""

from __future__ import annotations

from typing import Any

import msgspec

from fluoro_collector.store.histogram import points, quantile

# Columns in which `graph_minutes.sql`, nodes_1m and edges_1m keep them. Times in ns.
FIGURES = ("ok", "error", "throttle", "fault", "total", "total_time", "histogram")


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
        for bucket, count in histogram.items():
            mine[bucket] = mine.get(bucket, 0) + count

    def quantile(self, share: float) -> float | None:
        """Seconds, at most 9 % off; None when nothing finished."""
        return quantile(self.histogram, share)


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
    return {
        "ok": sums.ok,
        "error": sums.error,
        "throttle": sums.throttle,
        "fault": sums.fault,
        "total": sums.total,
        "total_time": sums.total_time / 1e9,
        "p50": sums.quantile(0.5),
        "p95": sums.quantile(0.95),
        "p99": sums.quantile(0.99),
        "histogram": points(sums.histogram),
    }
