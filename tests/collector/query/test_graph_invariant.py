"""The map never depends on order, batches, duplicates or the time of a rollup: it is what brute force computes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from brute_graph import Expected
from fluoro.model import Resource, Segment
from fluoro_collector.query.graph.graph_minutes import ALL_SETTLED, Live
from fluoro_collector.query.graph.service_graph import ServiceGraph, node_id, service_graph
from fluoro_collector.query.graph.time_series import series
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import delivered, random_traces

START, END = float(BASE - 600), float(BASE + 3600)

pytestmark = pytest.mark.usefixtures("no_completions")


def counts(item: Any) -> list[int]:
    return [item.ok, item.error, item.throttle, item.fault]


def check(graph: ServiceGraph, expected: Expected) -> None:
    nodes = {node.id: counts(node) for node in graph.nodes if node.total}
    assert nodes == {node_id(key): value for key, value in expected.nodes.items()}
    edges = {(edge.source, edge.target, edge.kind): counts(edge) for edge in graph.edges}
    assert edges == {(node_id(s), node_id(t), kind): value for (s, t, kind), value in expected.edges.items()}
    assert {node.id for node in graph.nodes if node.total and not node.inferred} == set(map(node_id, expected.own))
    assert {node.id for node in graph.nodes if node.total and node.root} == set(map(node_id, expected.roots))
    for item in (*graph.nodes, *graph.edges):
        assert sum(counts(item)) == item.total


def send(store: Store, rollup: Rollup, batch: list[tuple[Resource, Segment]]) -> None:
    store.insert([(resource, [segment]) for resource, segment in batch])
    rollup.touched({segment.start // SECOND for _, segment in batch})


@pytest.mark.parametrize("seed", range(2))
def test_any_delivery_gives_the_map_of_brute_force(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    rows = random_traces(seed, BASE * SECOND)
    rollup = Rollup(store.engine, periods_every_s=3600)
    sent: list[tuple[Resource, Segment]] = []
    for batch in delivered(rows, rng):
        send(store, rollup, batch)
        sent += batch
        if rng.random() < 0.1:
            rollup.run_once()
        if rng.random() < 0.1:
            check(service_graph(store.engine, rollup.dirty, START, END), Expected(sent))
        if rng.random() < 0.1:
            rollup = Rollup(store.engine, periods_every_s=3600)  # the process died; what is dirty must be found again
    live = service_graph(store.engine, rollup.dirty, START, END)
    check(live, Expected(sent))
    rollup.run_once()
    assert rollup.dirty(int(START), int(END)).minutes == []
    rolled = service_graph(store.engine, rollup.dirty, START, END)
    assert rolled == live
    # Stored minutes equal the same statement run over everything, times and histograms included.
    everything_live = service_graph(
        store.engine, lambda first, last: Live(list(range(first, last, 60)), ALL_SETTLED), START, END
    )
    assert everything_live == rolled


def test_every_point_of_a_node_equals_its_rows(store: Store) -> None:
    rows = random_traces(99, BASE * SECOND)
    rollup = Rollup(store.engine)
    send(store, rollup, rows)
    expected = Expected(rows)
    for live in (True, False):
        if not live:
            rollup.run_once()
        for node in expected.nodes:
            found = series(store.engine, rollup.dirty, START, END, 60, node)
            points = {(minute, node): counts(sums) for minute, sums in found.items() if sums.total}
            assert points == {key: value for key, value in expected.minutes.items() if key[1] == node}
