"""The map of chosen traces is the map that brute force draws from their segments alone."""

from __future__ import annotations

from collections import defaultdict

import pytest

from brute_graph import Expected
from fluoro.model import Resource, Segment
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.graph import filtered_graph as module
from fluoro_collector.query.graph.filtered_graph import filtered_graph, traces_graph
from fluoro_collector.query.graph.service_graph import ServiceGraph, node_id, service_graph
from fluoro_collector.query.search.search import search
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND, empty
from random_traces import random_traces

Rows = list[tuple[Resource, Segment]]
START, END = float(BASE - 600), float(BASE + 7200)
OUTCOMES = ("ok", "error", "throttle", "fault")


@pytest.fixture(scope="module")
def rows(opened: Store) -> Rows:
    rows = random_traces(21, BASE * SECOND, 40, 4000)
    empty(opened).insert([(resource, [segment]) for resource, segment in rows])
    return rows


@pytest.fixture(scope="module")
def rollup(opened: Store, rows: Rows) -> Rollup:
    rollup = Rollup(opened.engine)
    rollup.touched({segment.start // SECOND for _, segment in rows})
    rollup.run_once()
    return rollup


def check(graph: ServiceGraph, rows: Rows) -> None:
    expected = Expected(rows)
    nodes = {node.id: [getattr(node, name) for name in OUTCOMES] for node in graph.nodes if node.total}
    assert nodes == {node_id(key): counts for key, counts in expected.nodes.items()}
    edges = {(edge.source, edge.target, edge.kind): [getattr(edge, name) for name in OUTCOMES] for edge in graph.edges}
    assert edges == {
        (node_id(source), node_id(target), kind): counts for (source, target, kind), counts in expected.edges.items()
    }


def of(rows: Rows, ids: set[bytes]) -> Rows:
    return [row for row in rows if row[1].trace_id in ids]


@pytest.mark.parametrize("text", ["fault", "!ok AND duration > 1", 'service("orders") { error }', 'service("nobody")'])
def test_every_matching_trace_counts_and_no_other(opened: Store, rows: Rows, rollup: Rollup, text: str) -> None:
    found, _ = search(opened.engine, rollup.dirty, START, END, text, 1000)
    graph = filtered_graph(opened.engine, rollup.dirty, START, END, text)
    check(graph, of(rows, {position.trace_id for position in found}))
    assert (graph.start, graph.end) == (START, END)
    assert (graph.since is None) == (not found)


def test_pages_and_chunks_add_up(opened: Store, rows: Rows, rollup: Rollup, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = filtered_graph(opened.engine, rollup.dirty, START, END, "duration >= 0")
    check(whole, rows)
    monkeypatch.setattr(module, "PAGE", 15)
    monkeypatch.setattr(module, "CHUNK_ROWS", 100)
    assert filtered_graph(opened.engine, rollup.dirty, START, END, "duration >= 0") == whole


def test_a_trace_belongs_to_the_range_in_which_it_began(opened: Store, rows: Rows, rollup: Rollup) -> None:
    began: dict[bytes, int] = defaultdict(lambda: 1 << 63)
    for _, segment in rows:
        began[segment.trace_id] = min(began[segment.trace_id], segment.start)
    middle = BASE + 1000.5
    first = filtered_graph(opened.engine, rollup.dirty, START, middle, "duration >= 0")
    second = filtered_graph(opened.engine, rollup.dirty, middle, END, "duration >= 0")
    early = {trace_id for trace_id, start in began.items() if start < middle * SECOND}
    assert 0 < len(early) < len(began)
    check(first, of(rows, early))
    check(second, of(rows, began.keys() - early))
    assert second.since is not None
    assert second.since >= middle


def test_without_a_filter_it_is_the_map_of_the_range(opened: Store, rows: Rows, rollup: Rollup) -> None:
    assert filtered_graph(opened.engine, rollup.dirty, START, END, " ") == service_graph(
        opened.engine, rollup.dirty, START, END
    )
    assert rows


def test_a_wrong_filter_is_told(opened: Store, rollup: Rollup) -> None:
    with pytest.raises(FilterError):
        filtered_graph(opened.engine, rollup.dirty, START, END, "fault AND")


def test_traces_by_id_wherever_they_lie(opened: Store, rows: Rows) -> None:
    ids = sorted({segment.trace_id for _, segment in rows})
    # An id that carries no time, of a trace that goes on for hours.
    later = BASE + 7 * 86_400
    odd = b"\xff" * 16
    late = [
        Segment(odd, 1, 0, "cron", later * SECOND, (later + 9000) * SECOND),
        Segment(odd, 2, 1, "orders", (later + 8000) * SECOND, (later + 8001) * SECOND),
    ]
    dated = later.to_bytes(4, "big") + b"d" * 12
    late += [Segment(dated, 3, 4, "web", later * SECOND, later * SECOND)]
    late += [Segment(dated, 4, 0, "web", (later - 20_000) * SECOND, later * SECOND)]
    extra = [(Resource(service_name=segment.name), segment) for segment in late]
    opened.insert([(resource, [segment]) for resource, segment in extra])
    chosen = {ids[0], ids[5], odd}
    graph = traces_graph(opened.engine, [*chosen, ids[0], b"?" * 16])
    check(graph, of(rows + extra, chosen))
    starts = [segment.start // SECOND for _, segment in of(rows + extra, chosen)]
    assert (graph.start, graph.end) == (min(starts) // 60 * 60, max(starts) // 60 * 60 + 60)
    graph = traces_graph(opened.engine, [dated])
    assert sum(node.total for node in graph.nodes) == 2
    assert graph.start == (later - 20_000) // 60 * 60


def test_no_trace_is_an_empty_map(opened: Store, rows: Rows) -> None:
    assert rows
    for ids in ([], [b"?" * 16]):
        graph = traces_graph(opened.engine, ids)
        assert (graph.nodes, graph.edges, graph.start, graph.end, graph.since) == ([], [], 0, 0, None)
