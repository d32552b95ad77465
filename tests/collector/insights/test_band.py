"""The expected band: what it holds for any history, and how often it cries wolf."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluoro_collector.insights.band import MIN_BUCKETS, TAIL, Baseline, _quantiles, band, fit
from fluoro_collector.insights.detect import Expected, judge
from fluoro_collector.query.graph.outcomes import Counts

DAY = 1440
BUCKET = 5

moments = st.integers(0, 3000).flatmap(lambda total: st.tuples(st.just(total), st.integers(0, total)))


@given(st.lists(moments, max_size=60), st.integers(0, 10**7))
@settings(deadline=None, max_examples=60)
def test_a_band_is_within_what_is_possible(history: list[tuple[int, int]], total: int) -> None:
    found = band(history, total)
    enough = sum(n for n, _ in history) >= 100 and sum(n > 0 for n, _ in history) >= MIN_BUCKETS
    assert (found is not None) == enough
    if found is not None:
        assert 0 <= found.low <= found.high <= max(total, 1)
        assert found.high >= total / 1000


@given(st.floats(0.0005, 0.9), st.integers(1, 400), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_more_requests_allow_more_faults(rate: float, total: int, more: int) -> None:
    baseline = Baseline(rate, 20 / rate)
    here, there = baseline.band(total), baseline.band(total + more)
    # Of many faults the steps they are counted in are a fiftieth.
    assert here.low <= there.low * 1.02 + 1e-9
    assert here.high <= there.high * 1.02 + 1e-9


@given(st.floats(0.001, 0.5), st.integers(20, 200))
@settings(deadline=None, max_examples=50)
def test_the_summed_band_is_that_of_the_distribution(rate: float, total: int) -> None:
    """Against the definition: the smallest number that the beta-binomial distribution stays below but once in 1/TAIL."""
    if rate * total > 30:
        return
    baseline = Baseline(rate, 25 / rate)
    a, b = rate * baseline.concentration, (1 - rate) * baseline.concentration

    def probability(faults: int) -> float:
        ways = math.lgamma(total + 1) - math.lgamma(faults + 1) - math.lgamma(total - faults + 1)
        top = math.lgamma(faults + a) + math.lgamma(total - faults + b) - math.lgamma(total + a + b)
        return math.exp(ways + top + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))

    high = baseline.band(total).high
    assert sum(map(probability, range(high + 1))) >= 1 - TAIL - 1e-9
    if high > max(1, math.ceil(total / 1000)):
        assert sum(map(probability, range(high))) < 1 - TAIL + 1e-9


def test_many_requests_have_the_band_of_the_distribution_too() -> None:
    for rate in (0.001, 0.01, 0.1, 0.5, 0.95):
        for shape in (0.5, 2, 25):
            concentration = shape / (rate * (1 - rate))
            total = int(500 / rate)
            exact, found = _quantiles(total, rate, concentration), Baseline(rate, concentration).band(total)
            assert found.high == pytest.approx(exact.high, rel=0.02)
            assert found.low == pytest.approx(exact.low, rel=0.08, abs=10)


def test_what_happened_once_is_not_usual() -> None:
    """Eight hours at 40 % change the band of a day by less than an eighth."""
    usual = [(500, 5)] * 288
    incident = [(500, 5)] * 150 + [(500, 200)] * 96 + [(500, 5)] * 42
    clean, stained = fit(usual), fit(incident)
    assert clean is not None
    assert stained is not None
    assert stained.rate == pytest.approx(clean.rate, rel=0.01)
    assert stained.band(100).high <= clean.band(100).high + 1


def test_what_comes_back_is_usual() -> None:
    hourly = ([(500, 90)] + [(500, 5)] * 11) * 24
    found = fit(hourly)
    assert found is not None
    assert found.band(100).high > 18


def test_small_traffic_and_little_history_say_little() -> None:
    assert fit([(100, 0)] * (MIN_BUCKETS - 1)) is None
    assert fit([(8, 0)] * MIN_BUCKETS) is None
    assert band([(20, 0)] * 30, 1) == (0, 1)
    nothing_known, much_known = fit([(10, 0)] * MIN_BUCKETS), fit([(1000, 0)] * 288)
    assert nothing_known is not None
    assert much_known is not None
    assert nothing_known.band(1000).high > 10 * much_known.band(1000).high


# Requests a minute and the share that fails.
Traffic = Callable[[int], tuple[float, float]]
QUIET: dict[str, Traffic] = {
    "steady": lambda _: (100, 0.01),
    "daily cycle": lambda minute: (210 + 190 * math.sin(minute / DAY * 2 * math.pi), 0.01),
    "rate with the load": lambda minute: (
        210 + 190 * math.sin(minute / DAY * 2 * math.pi),
        0.0125 + 0.0075 * math.sin(minute / DAY * 2 * math.pi),
    ),
    "tiny": lambda _: (0.2, 0.05),
    "small": lambda _: (5, 0.01),
    "bursts of requests": lambda minute: (1000 if minute % 37 < 4 else 50, 0.01),
    "bad minutes every hour": lambda minute: (100, 0.3 if minute % 60 < 3 else 0.01),
}


@pytest.mark.parametrize("name", QUIET)
def test_half_a_simulated_day_without_an_alarm(name: str) -> None:
    """After a day of history. Out of band are at most two minutes in a thousand, and never several together."""
    counts = simulated(QUIET[name], DAY + DAY // 2, random.Random(name))
    out = [any(window.out[-1:]) for window in windows(counts)]
    assert sum(out) <= 0.002 * len(out)
    assert not any(window.anomalous for window in windows(counts))


@pytest.mark.parametrize(("requests", "share"), [(100, 0.1), (10, 0.5), (1000, 0.04), (3, 1.0)])
def test_a_real_incident_is_found_within_five_minutes(requests: int, share: float) -> None:
    rng = random.Random(requests)
    before = simulated(lambda _: (requests, 0.01), DAY + 60, rng)
    counts = before + simulated(lambda _: (requests, share), 6, rng)
    assert windows(counts)[-1].anomalous
    assert not windows(before)[-1].anomalous


def simulated(traffic: Traffic, minutes: int, rng: random.Random) -> list[Counts]:
    found = []
    for minute in range(minutes):
        mean, share = traffic(minute)
        requests = poisson(mean, rng)
        # Whether one of few fails is thrown one by one, of many it is near enough to normal.
        if requests < 60:
            faults = sum(rng.random() < share for _ in range(requests))
        elif requests * share < 20:
            faults = min(poisson(requests * share, rng), requests)
        else:
            faults = round(
                min(max(rng.gauss(requests * share, math.sqrt(requests * share * (1 - share))), 0), requests)
            )
        found.append(Counts(ok=requests - faults, fault=faults))
    return found


def poisson(mean: float, rng: random.Random) -> int:
    if mean > 50:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    left, count = math.exp(-mean), 0
    product = rng.random()
    while product > left:
        count += 1
        product *= rng.random()
    return count


def windows(counts: list[Counts]) -> list:
    """The verdict of every minute after the first day, as the watch would come to it."""
    key = tuple(counts)
    if key not in _judged:
        verdicts = []
        for minute in range(DAY, len(counts)):
            if minute % BUCKET == 0 or not verdicts:
                end = (minute - 15) // BUCKET * BUCKET
                parts = (counts[at : at + BUCKET] for at in range(max(end - DAY, 0), end, BUCKET))
                baseline = fit([(sum(c.total for c in part), sum(c.fault for c in part)) for part in parts])
            assert baseline is not None
            verdicts.append(judge(Expected(baseline), counts[minute - 4 : minute + 1]))
        _judged[key] = verdicts
    return _judged[key]


_judged: dict[tuple[Counts, ...], list] = {}
