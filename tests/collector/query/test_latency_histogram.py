"""Histograms and series of matching traces against brute force, and against the searches that their bars link to."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from faceted_traces import OUTCOMES, Facts, faceted_traces, insert
from fluoro_collector.query.graph.service_graph import service_graph
from fluoro_collector.query.search.search import count
from fluoro_collector.query.sets.latency_histogram import bounds, node_histogram, traces_histogram
from fluoro_collector.query.sets.trace_series import trace_series
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.histogram import LAST, bucket, middle, quantile
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND, empty

START, END = float(BASE - 600), float(BASE + 8000)


@pytest.fixture(scope="module")
def facts(opened: Store) -> list[Facts]:
    rows, facts = faceted_traces(3, BASE * SECOND)
    insert(empty(opened), rows)
    return facts


@pytest.fixture(params=["live", "rolled up"], scope="module")
def rollup(request: pytest.FixtureRequest, opened: Store, facts: list[Facts]) -> Rollup:
    rollup = Rollup(opened.engine)
    if request.param == "rolled up":
        rollup.touched({each.began // SECOND for each in facts})
        rollup.run_once()
        assert not rollup.dirty(int(START), int(END)).minutes
    return rollup


FILTERS = {
    "": lambda _: True,
    "fault": lambda each: each.outcome == 3,
    'annotation.plan = "gold"': lambda each: ("gold", 0) in each.values["annotation.plan"],
}


@pytest.mark.parametrize(
    ("of", "text"), [("responsetime", ""), ("duration", "fault"), ("responsetime", 'annotation.plan = "gold"')]
)
def test_traces_by_bucket_and_outcome(opened: Store, facts: list[Facts], rollup: Rollup, text: str, of: str) -> None:
    chosen = [each for each in facts if FILTERS[text](each)]
    found = traces_histogram(opened.engine, rollup.dirty, START, END, text, of)  # type: ignore[arg-type]
    times = [(each.response_time if of == "responsetime" else each.lasted, each.outcome) for each in chosen]
    expected = Counter((bucket(time), OUTCOMES[outcome]) for time, outcome in times if time is not None)
    shown = {
        (bucket(round(each.low * 1e9)), name): getattr(each, name)
        for each in found.buckets
        for name in OUTCOMES
        if getattr(each, name)
    }
    assert shown == expected
    totals = Counter(bucket(time) for time, _ in times if time is not None)
    assert [each.total for each in found.buckets] == [totals[index] for index in range(min(totals), max(totals) + 1)]
    assert (found.total, found.unfinished) == (sum(totals.values()), len(chosen) - sum(totals.values()))
    assert (found.p50, found.p95, found.p99) == tuple(quantile(totals, share) for share in (0.5, 0.95, 0.99))
    assert found.of == of


def test_a_bar_links_to_its_own_traces(opened: Store, facts: list[Facts], rollup: Rollup) -> None:
    assert facts
    found = traces_histogram(opened.engine, rollup.dirty, START, END)
    for each in [each for each in found.buckets if each.total][::5]:
        text = f"responsetime >= {each.low:.9f} AND responsetime < {each.high:.9f}"
        assert count(opened.engine, rollup.dirty, START, END, text) == each.total


def test_bounds_are_exact() -> None:
    for index in range(LAST):
        low, high = bounds(index)
        assert high is not None
        edge = round(high * 1e9)
        assert (bucket(edge - 1), bucket(edge)) == (index, index + 1)
        assert bounds(index + 1)[0] == high
        assert low <= middle(index) < high
    assert bounds(0)[0] == 0
    assert bounds(LAST)[1] is None


def test_a_node_and_an_edge(opened: Store, facts: list[Facts], rollup: Rollup) -> None:
    assert facts
    graph = service_graph(opened.engine, rollup.dirty, START, END)
    busiest = max(graph.nodes, key=lambda each: each.total)
    for of, element in [("node", busiest), ("edge", max(graph.edges, key=lambda each: each.total))]:
        found = node_histogram(opened.engine, rollup.dirty, START, END, element.id)
        assert found is not None
        assert found.of == of
        assert [
            (each.low <= time < (each.high or math.inf))
            for each, (time, _) in zip([each for each in found.buckets if each.total], element.histogram, strict=True)
        ] == [True] * len(element.histogram)
        assert found.total + found.unfinished == element.total
        assert found.buckets[0].fault is None
    node = busiest.id
    whole = node_histogram(opened.engine, rollup.dirty, START, END, node)
    part = node_histogram(opened.engine, rollup.dirty, START, END, node, "fault")
    assert part is not None
    assert whole is not None
    assert 0 < part.total < whole.total
    assert node_histogram(opened.engine, rollup.dirty, START, END, "nobody|") is None


def test_nothing_is_an_empty_histogram(opened: Store, facts: list[Facts], rollup: Rollup) -> None:
    assert facts
    found = traces_histogram(opened.engine, rollup.dirty, START - 7200, START)
    assert (found.buckets, found.total, found.unfinished, found.p50) == ([], 0, 0, None)


@pytest.mark.parametrize(("period", "text"), [(60, ""), (1000, "fault")])
def test_traces_over_time(opened: Store, facts: list[Facts], rollup: Rollup, text: str, period: int) -> None:
    start, end = BASE + 100.5, BASE + 5000.25
    chosen = [each for each in facts if FILTERS[text](each) and start * SECOND <= each.began < end * SECOND]
    found = trace_series(opened.engine, rollup.dirty, start, end, period, text)
    expected = Counter((each.began // SECOND // period * period, OUTCOMES[each.outcome]) for each in chosen)
    assert {(p.time, name): getattr(p, name) for p in found.points for name in OUTCOMES if getattr(p, name)} == expected
    assert [point.time for point in found.points] == [
        float(moment) for moment in range(int(start) // period * period, math.ceil(end), period)
    ]
    assert sum(point.total for point in found.points) == len(chosen)
    for point in found.points:
        times = [
            each.response_time
            for each in chosen
            if each.began // SECOND // period * period == point.time and each.response_time is not None
        ]
        totals = Counter(map(bucket, times))
        assert point.histogram == [(middle(index), totals[index]) for index in sorted(totals)]
        assert (point.p50, point.p95) == (quantile(totals, 0.5), quantile(totals, 0.95))
