"""Requests by node and edge: of all traces and of those of a group, rolled up or not."""

from __future__ import annotations

import pytest

from fault_traffic import DATABASE, MINUTE, ORDERS, feed, traffic
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.graph.outcomes import Counts, oldest_minute, outcomes, source
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, empty

WEB = ("web", "")


def plan(minute: int) -> tuple[int, int, int, int]:
    return (10, 2, 1, 1) if minute < 3 else (4, 0, 0, 0)


@pytest.fixture
def store(opened: Store) -> Store:
    return empty(opened)


def test_minutes_and_longer_periods(store: Store) -> None:
    """Two minutes are rolled up, three are not."""
    rollup = Rollup(store.engine)
    feed(store, rollup, BASE, 2, plan)
    later = traffic(BASE + 2 * MINUTE, 3, lambda minute: plan(minute + 2))
    store.insert(later)
    rollup.touched({segment.start // 1_000_000_000 for _, rows in later for segment in rows})
    assert rollup.dirty(BASE, BASE + 300).minutes == [BASE + 120, BASE + 180, BASE + 240]
    found = outcomes(store.engine, rollup.dirty, BASE, BASE + 360)
    assert list(found) == list(range(BASE, BASE + 360, MINUTE))
    assert found[BASE + 300] == ({}, {})
    bad, good = found[BASE + 120], found[BASE + 180]
    assert bad.nodes == {DATABASE: Counts(8, 0, 0, 2), ORDERS: Counts(7, 0, 0, 3), WEB: Counts(6, 0, 0, 4)}
    assert bad.edges == {
        (("web", "client"), WEB): Counts(6, 0, 0, 4),
        (WEB, ORDERS): Counts(7, 0, 0, 3),
        (ORDERS, DATABASE): Counts(8, 0, 0, 2),
    }
    assert set(good.nodes.values()) == {Counts(ok=4)}
    long = outcomes(store.engine, rollup.dirty, BASE, BASE + 600, 300, False)
    assert long[BASE].nodes[WEB] == Counts(ok=3 * 6 + 2 * 4, fault=3 * 4)
    assert (long[BASE].edges, long[BASE + 300]) == ({}, ({}, {}))
    # A group that every trace belongs to is the whole.
    assert source(store.engine, rollup.dirty, 'service("orders")')(BASE, BASE + 360, MINUTE, True) == found


def test_a_group_sees_only_its_traces(store: Store) -> None:
    rollup = Rollup(store.engine)
    feed(store, rollup, BASE, 5, plan)
    assert oldest_minute(store.engine) == BASE
    every = source(store.engine, rollup.dirty, "")(BASE, BASE + 360, MINUTE, True)
    assert source(store.engine, rollup.dirty, 'service("orders")')(BASE, BASE + 360, MINUTE, True) == every
    found = source(store.engine, rollup.dirty, 'service("orders") { fault }')(BASE, BASE + 300, 300, True)[BASE]
    assert found.nodes == {DATABASE: Counts(ok=3, fault=6), ORDERS: Counts(fault=9), WEB: Counts(fault=9)}
    assert found.edges[ORDERS, DATABASE] == Counts(ok=3, fault=6)
    with pytest.raises(FilterError):
        source(store.engine, rollup.dirty, "service(")(BASE, BASE + 300, 300, True)


def test_an_empty_store(store: Store) -> None:
    assert oldest_minute(store.engine) == 0
    assert outcomes(store.engine, Rollup(store.engine).dirty, BASE, BASE + 120) == {BASE: ({}, {}), BASE + 60: ({}, {})}
