"""Matching traces over time."""

from __future__ import annotations

import math

import msgspec

from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.graph.graph_minutes import MINUTE, Dirty
from fluoro_collector.query.search.matching import BUCKET, OUTCOME, OUTCOMES, UNFINISHED, matching
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.histogram import points, quantile


class TracePoint(msgspec.Struct, kw_only=True):
    """Traces that began in [time, time + period) (epoch seconds), by the worst flag of their roots.

    Quantiles and `histogram` ([seconds, traces], the middles of buckets in use) are of the roots' response times in seconds,
    of those that have finished: a column of a heat map. Quantiles are null when none has.
    """

    time: float
    ok: int
    error: int
    throttle: int
    fault: int
    total: int
    p50: float | None
    p95: float | None
    p99: float | None
    histogram: list[tuple[float, int]]


class TraceSeries(msgspec.Struct, kw_only=True):
    """One point per period that overlaps the range, ascending, empty ones too. `period` in seconds.

    The first and the last point hold only what began in the range, so their sum is the count of a search.
    """

    period: int
    points: list[TracePoint]


def trace_series(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    period: int = MINUTE,
    filter_text: str = "",
    *,
    groups: Groups = no_groups,
) -> TraceSeries:
    """The traces that began in [start, end) (epoch seconds) and match. `period` is at least 1. Raises FilterError."""
    first = math.floor(start / period) * period
    outcomes = {moment: [0] * len(OUTCOMES) for moment in range(first, math.ceil(end), period)}
    histograms: dict[int, dict[int, int]] = {moment: {} for moment in outcomes}
    columns = ("toUnixTimestamp(began) AS second", OUTCOME, BUCKET)
    for part in matching(engine, dirty, start, end, filter_text, columns, groups=groups):
        found = engine.query(part.within("trace_series"), {**part.params, "period": period})
        for moment, outcome, bucket, traces in zip(*found.values(), strict=True):
            outcomes[moment][outcome] += traces
            if bucket != UNFINISHED:
                histogram = histograms[moment]
                histogram[bucket] = histogram.get(bucket, 0) + traces
    return TraceSeries(
        period=period,
        points=[_point(moment, counts, histograms[moment]) for moment, counts in outcomes.items()],
    )


def _point(moment: int, counts: list[int], histogram: dict[int, int]) -> TracePoint:
    return TracePoint(
        time=float(moment),
        total=sum(counts),
        p50=quantile(histogram, 0.5),
        p95=quantile(histogram, 0.95),
        p99=quantile(histogram, 0.99),
        histogram=points(histogram),
        **dict(zip(OUTCOMES, counts, strict=True)),
    )
