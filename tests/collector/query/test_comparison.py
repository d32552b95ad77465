"""Over-represented values against brute force, and the statistics they are ranked by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceted_traces import Facts, faceted_traces, insert
from fluoro.model import Kind, Resource, Segment
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.search.search import count
from fluoro_collector.query.sets import comparison as module
from fluoro_collector.query.sets.comparison import Comparison, comparison
from fluoro_collector.query.sets.proportions import difference, wilson
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND, empty

START, END = float(BASE - 600), float(BASE + 8000)
FILTERS: dict[str, Callable[[Facts], bool]] = {
    "fault": lambda each: each.outcome == 3,
    "!(fault)": lambda each: each.outcome != 3,
    'annotation.plan = "gold"': lambda each: ("gold", 0) in each.values["annotation.plan"],
    'http.method = "GET"': lambda each: ("GET", 0) in each.values["http.method"],
}


@pytest.fixture(scope="module")
def facts(opened: Store) -> list[Facts]:
    rows, facts = faceted_traces(7, BASE * SECOND, 80)
    insert(empty(opened), rows)
    return facts


@pytest.fixture(scope="module")
def rollup(opened: Store, facts: list[Facts]) -> Rollup:
    rollup = Rollup(opened.engine)
    rollup.touched({each.began // SECOND for each in facts})
    rollup.run_once()
    return rollup


def check(found: Comparison, chosen: list[Facts], base: list[Facts]) -> None:
    counts, base_counts = (
        Counter((key, *pair) for each in side for key, pairs in each.values.items() for pair in pairs)
        for side in (chosen, base)
    )
    candidates = {facet for facet, traces in counts.items() if traces >= module.MIN_TRACES}
    assert (found.traces, found.base_traces, found.candidates) == (len(chosen), len(base), len(candidates))
    expected = {}
    for facet in candidates:
        apart = difference(counts[facet], len(chosen), base_counts[facet], len(base), module.Z)
        if apart.low > 0:
            expected[facet[:2]] = (counts[facet], base_counts[facet], *apart)
    assert {
        (each.key, each.value): (each.traces, each.base_traces, each.difference, each.low, each.high)
        for each in found.values
    } == expected
    assert [each.low for each in found.values] == sorted((each.low for each in found.values), reverse=True)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("fault", ""),
        ('annotation.plan = "gold"', ""),
        ('annotation.plan = "gold"', "fault"),
        ('http.method = "GET"', 'annotation.plan = "gold"'),
    ],
)
def test_values_of_two_sets(opened: Store, facts: list[Facts], rollup: Rollup, text: str, base: str) -> None:
    found = comparison(opened.engine, rollup.dirty, START, END, text, base, 1000)
    others = FILTERS[base] if base else lambda each: not FILTERS[text](each)
    check(found, [each for each in facts if FILTERS[text](each)], [each for each in facts if others(each)])
    assert (found.filter, found.base) == (text, base or f"!({text})")


def test_candidates_are_bounded_and_still_exact(
    opened: Store, facts: list[Facts], rollup: Rollup, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'http.method = "GET"'
    whole = comparison(opened.engine, rollup.dirty, START, END, text, "", 1000)
    monkeypatch.setattr(module, "CANDIDATES", 1)
    monkeypatch.setattr(module, "SLICE_TRACES", 20)
    cut = comparison(opened.engine, rollup.dirty, START, END, text, "", 1000)
    assert cut.candidates < whole.candidates
    known = {(each.key, each.value): each for each in whole.values}
    assert all(known[each.key, each.value] == each for each in cut.values)
    assert facts


def test_the_culprit_is_first(opened: Store) -> None:
    """One version on one host fails; everything else happens everywhere."""
    later = BASE + 100_000
    rows = []
    for number in range(200):
        bad = number % 4 == 0
        resource = Resource(service_name="web", service_version="1.1" if bad else "1.0", host=f"h{number % 8}")
        at = (later + number) * SECOND
        fault = bad and number % 8 == 0
        rows.append(
            (
                resource,
                Segment(
                    number.to_bytes(16, "big"), 1, 0, "web", at, at + 1000, Kind.SERVER, fault=fault, user=f"u{number}"
                ),
            )
        )
    opened.insert([(resource, [segment]) for resource, segment in rows])
    found = comparison(opened.engine, Rollup(opened.engine).dirty, later, later + 200)
    assert (found.filter[:3], found.traces) == ("!ok", 25)  # none is slow: all took the same time
    assert [(each.key, each.value) for each in found.values] == [("host", "h0"), ("version", "web 1.1")]
    assert found.values[0].ratio is None
    assert found.values[0].filter is None
    assert found.values[1].ratio == pytest.approx(1 / (25 / 175))


def test_slow_ones_are_told_apart_by_default(opened: Store, facts: list[Facts], rollup: Rollup) -> None:
    found = comparison(opened.engine, rollup.dirty, START, END)
    assert found.filter.startswith("!ok OR responsetime >= ")
    assert count(opened.engine, rollup.dirty, START, END, found.filter) == found.traces
    assert found.traces + found.base_traces == len(facts)


def test_small_and_empty_sets(opened: Store, facts: list[Facts], rollup: Rollup) -> None:
    assert facts
    nothing = comparison(opened.engine, rollup.dirty, START, END, 'service("nobody")')
    assert (nothing.traces, nothing.base_traces, nothing.values) == (0, len(facts), [])
    alone = comparison(opened.engine, rollup.dirty, START, END, "fault", 'service("nobody")')
    assert alone.base_traces == 0
    assert alone.values == []  # nothing to compare with tells nothing
    empty_range = comparison(opened.engine, rollup.dirty, START - 600, START)
    assert (empty_range.traces, empty_range.base_traces, empty_range.values) == (0, 0, [])


def test_a_wrong_filter_is_told(opened: Store, rollup: Rollup) -> None:
    for filters in (("fault AND", ""), ("fault", "AND")):
        with pytest.raises(FilterError):
            comparison(opened.engine, rollup.dirty, START, END, *filters)


cases = st.integers(0, 200).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@given(cases, cases, st.sampled_from([1.0, 1.96, 3.29]))
def test_bounds_hold_the_difference(first: tuple[int, int], second: tuple[int, int], z: float) -> None:
    found = difference(*first, *second, z)
    assert -1 <= found.low <= found.value <= found.high <= 1
    mirrored = difference(*second, *first, z)
    assert mirrored.low == pytest.approx(-found.high)
    wider = difference(*first, *second, z + 1)
    assert wider.low <= found.low
    assert found.high <= wider.high
    if not first[1] and not second[1]:
        assert (found.low, found.high) == (-1, 1)


def test_published_intervals() -> None:
    """Newcombe 1998: Wilson for 81/263; the hybrid interval for 56/70 against 48/80."""
    assert wilson(81, 263, 1.959964) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert difference(56, 70, 48, 80, 1.959964) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert difference(9, 10, 3, 10, 1.959964) == pytest.approx((0.6, 0.1705, 0.8090), abs=1e-4)
