"""What is usual for the requests of a group at some hour: shares of faults, response times, traffic.

Shares have the band of `insights/band.py`; response times and traffic the median of buckets of five minutes and how far
these lie from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from fluoro_collector.insights.band import Baseline, fit
from fluoro_collector.insights.history import BUCKET_S, HOUR, REACH_S
from fluoro_collector.query.graph.graph_minutes import MINUTE
from fluoro_collector.query.graph.outcomes import Counts
from fluoro_collector.store.histogram import quantile

QUANTILES = (0.5, 0.95, 0.99)
# How far from the median is unusual, in deviations: about one bucket in a thousand on each side.
_FAR = 3.1
_MAD = 1.4826  # of a normal distribution, standard deviation ÷ median absolute deviation
_RESOLUTION = 0.1  # natural logarithm: buckets of the histogram are 19 % wide
_TRAFFIC_DRIFT = 0.1  # of the median
_ENOUGH = 20  # finished requests, for quantiles worth comparing
_MIN_BUCKETS = 12


class Measure(msgspec.Struct, kw_only=True):
    """A figure and the band in which it usually is; null: there was nothing to measure, or too little to know."""

    value: float | None
    low: float | None
    high: float | None


class HealthPoint(msgspec.Struct, kw_only=True):
    """Requests of clients that began in [time, time + period). `traffic` in requests a minute, `fault`, `error` (4xx
    without 429) and `throttle` as shares of requests, 0 to 1; quantiles of response times in seconds.
    """

    time: float
    traffic: Measure
    fault: Measure
    error: Measure
    throttle: Measure
    p50: Measure
    p95: Measure
    p99: Measure


class Entries(NamedTuple):
    """Requests of clients in one period, and how many finished in each bucket of response time."""

    counts: Counts
    histogram: dict[int, int]


class Usual:
    """What the day before an hour says of it."""

    def __init__(self, hour: int, before: dict[int, Entries]) -> None:
        self.hour = hour
        day = [entries for moment, entries in before.items() if hour - REACH_S <= moment < hour]
        self.fault, self.error, self.throttle = (
            fit([(entries.counts.total, entries.counts[place]) for entries in day]) for place in (3, 1, 2)
        )
        full = [entries.histogram for entries in day if sum(entries.histogram.values()) >= _ENOUGH]
        self.times = [
            _spread([math.log(quantile(each, rank) or 1) for each in full], _RESOLUTION) for rank in QUANTILES
        ]
        # Traffic goes with the time of the day: the hour before, and that time yesterday.
        near = [
            entries.counts.total * MINUTE / BUCKET_S
            for moment, entries in before.items()
            if hour - HOUR <= moment < hour or hour - REACH_S <= moment < hour - REACH_S + HOUR
        ]
        self.traffic = _spread(near, 0.0) if any(near) else None

    def point(self, moment: int, here: Entries, period: int) -> HealthPoint:
        counts = here.counts
        finished = sum(here.histogram.values())
        times = [
            _measure(quantile(here.histogram, rank), usual and usual.logarithmic() if finished >= _ENOUGH else None)
            for rank, usual in zip(QUANTILES, self.times, strict=True)
        ]
        rate = counts.total * MINUTE / period
        return HealthPoint(
            time=float(moment),
            traffic=_measure(rate, self.traffic and self.traffic.counted(period)),
            fault=_share(counts.fault, counts.total, self.fault),
            error=_share(counts.error, counts.total, self.error),
            throttle=_share(counts.throttle, counts.total, self.throttle),
            p50=times[0],
            p95=times[1],
            p99=times[2],
        )


class _Spread(NamedTuple):
    middle: float
    deviation: float

    def logarithmic(self) -> tuple[float, float]:
        """The band of a figure whose logarithms were spread."""
        far = _FAR * self.deviation
        return math.exp(self.middle - far), math.exp(self.middle + far)

    def counted(self, period: int) -> tuple[float, float]:
        """The band of requests a minute, counted over `period` seconds: chance moves them too."""
        chance = math.sqrt(self.middle * MINUTE / period)
        far = _FAR * math.hypot(self.deviation, chance, _TRAFFIC_DRIFT * self.middle)
        return max(self.middle - far, 0.0), self.middle + far


def _spread(values: Sequence[float], least: float) -> _Spread | None:
    """Median and deviation of what a bucket usually is; one incident does not move them. None: too few."""
    if len(values) < _MIN_BUCKETS:
        return None
    middle = median(values)
    return _Spread(middle, max(_MAD * median(abs(value - middle) for value in values), least))


def _measure(value: float | None, band: tuple[float, float] | None) -> Measure:
    return Measure(value=value, low=band[0] if band else None, high=band[1] if band else None)


def _share(part: int, total: int, baseline: Baseline | None) -> Measure:
    if not total:
        return _measure(None, None)
    if baseline is None:
        return _measure(part / total, None)
    band = baseline.band(total)
    return _measure(part / total, (band.low / total, min(band.high / total, 1.0)))
