"""Top values against brute force; what a value's filter finds is what was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from faceted_traces import OUTCOMES, Facts, faceted_traces, insert
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.search.search import count
from fluoro_collector.query.sets import top_values as module
from fluoro_collector.query.sets.facets import KEYS
from fluoro_collector.query.sets.top_values import FacetError, TopValues, top_values
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.histogram import bucket, quantile
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND, empty

START, END = float(BASE - 600), float(BASE + 8000)
FILTERS: dict[str, Callable[[Facts], bool]] = {
    "": lambda _: True,
    "!ok": lambda each: each.outcome != 0,
    'annotation.plan = "gold" OR annotation.plan = 5': lambda each: bool(
        {("gold", 0), ("5", 1)} & each.values["annotation.plan"]
    ),
}


@pytest.fixture(scope="module")
def facts(opened: Store) -> list[Facts]:
    rows, facts = faceted_traces(5, BASE * SECOND)
    insert(empty(opened), rows)
    return facts


@pytest.fixture(scope="module")
def rollup(opened: Store, facts: list[Facts]) -> Rollup:
    rollup = Rollup(opened.engine)
    rollup.touched({each.began // SECOND for each in facts})
    rollup.run_once()
    return rollup


def check(found: TopValues, facts: list[Facts], key: str, limit: int = 1000) -> None:
    having: dict[tuple[str, int], list[Facts]] = {}
    for each in facts:
        for pair in each.values[key]:
            having.setdefault(pair, []).append(each)
    ordered = sorted(having.items(), key=lambda item: (-len(item[1]), item[0]))[:limit]
    assert [(each.value, each.traces) for each in found.top] == [(value, len(traces)) for (value, _), traces in ordered]
    for shown, (_, traces) in zip(found.top, ordered, strict=True):
        outcomes = Counter(OUTCOMES[each.outcome] for each in traces)
        assert {name: getattr(shown, name) for name in OUTCOMES} == {name: outcomes[name] for name in OUTCOMES}
        assert shown.failing == len(traces) - outcomes["ok"]
        assert shown.share == len(traces) / len(facts)
        times = Counter(bucket(each.response_time) for each in traces if each.response_time is not None)
        assert (shown.p50, shown.p95) == (quantile(times, 0.5), quantile(times, 0.95))
    assert (found.key, found.total, found.values, found.exact) == (key, len(facts), len(having), True)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *zip(["annotation.plan", "user", "version"], FILTERS, strict=True),
        *zip(["user", "host", "annotation.plan"], FILTERS, strict=True),
    ],
)
def test_values_are_counted_by_trace(opened: Store, facts: list[Facts], rollup: Rollup, key: str, text: str) -> None:
    found = top_values(opened.engine, rollup.dirty, START, END, key, text, 1000)
    check(found, [each for each in facts if FILTERS[text](each)], key)


@pytest.mark.parametrize("key", [*KEYS, "annotation.cart.size"])
def test_every_key_is_answered(opened: Store, facts: list[Facts], rollup: Rollup, key: str) -> None:
    found = top_values(opened.engine, rollup.dirty, START, END, key, "", 2)
    check(found, facts, key, 2)


def test_the_filter_of_a_value_finds_its_traces(opened: Store, facts: list[Facts], rollup: Rollup) -> None:
    assert facts
    said = 0
    for key in ("annotation.plan", "service", "http.status", "user", "host"):
        for each in top_values(opened.engine, rollup.dirty, START, END, key, "", 1000).top:
            if each.filter is not None:
                assert count(opened.engine, rollup.dirty, START, END, each.filter) == each.traces, each.filter
                said += 1
    assert said > 10


def test_live_traces_count_with_rolled_up_ones(opened: Store, facts: list[Facts]) -> None:
    rollup = Rollup(opened.engine)
    rollup.touched(range(BASE + 3600, BASE + 8000, 60))
    for key in ("operation", "annotation.plan"):
        check(top_values(opened.engine, rollup.dirty, START, END, key, "", 1000), facts, key)


def test_slices_add_up(opened: Store, facts: list[Facts], rollup: Rollup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range of days, with a filter that reads segments: several statements."""
    start = START - 86_400
    text = next(text for text in FILTERS if "annotation" in text)
    chosen = [each for each in facts if FILTERS[text](each)]
    check(top_values(opened.engine, rollup.dirty, start, END, "annotation.plan", text, 1000), chosen, "annotation.plan")
    monkeypatch.setattr(module, "MAX_MERGED", 1)
    assert not top_values(opened.engine, rollup.dirty, start, END, "annotation.plan", text, 1000).exact


def test_what_cannot_be_asked_is_told(opened: Store, rollup: Rollup) -> None:
    for key in ("", "annotation.", "nonsense", "http"):
        with pytest.raises(FacetError, match=r"annotation\.NAME or one of service, operation"):
            top_values(opened.engine, rollup.dirty, START, END, key)
    with pytest.raises(FilterError):
        top_values(opened.engine, rollup.dirty, START, END, "service", "fault AND")
    hostile = "annotation.it's \\ \" ; DROP"
    assert top_values(opened.engine, rollup.dirty, START, END, hostile).top == []
