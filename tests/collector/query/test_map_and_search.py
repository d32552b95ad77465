"""Every number on the map equals the count of the search it links to."""

from __future__ import annotations

from collections import defaultdict

import pytest

from brute_graph import Expected, Node
from fluoro.model import Resource, Segment
from fluoro_collector.query.filter.tree import Comparison, Identity, Not, Service
from fluoro_collector.query.service_graph import node_id, service_graph
from fluoro_collector.query.traces import count, search
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import random_traces

START, END = float(BASE - 600), float(BASE + 7200)
OUTCOMES = ("ok", "error", "throttle", "fault")


def by_trace(rows: list[tuple[Resource, Segment]]) -> dict[bytes, Expected]:
    traces: dict[bytes, list[tuple[Resource, Segment]]] = defaultdict(list)
    for resource, segment in rows:
        traces[segment.trace_id].append((resource, segment))
    return {trace_id: Expected(each) for trace_id, each in traces.items()}


def link(node: Node, outcome: str = "") -> str:
    """What the map links to: the requests of a node, all or those with one outcome (the worst flag decides)."""
    service = str(Service(Identity(name=node[0], type=node[1])))
    if not outcome:
        return service
    worse = {"error": ("throttle", "fault"), "throttle": ("fault",)}.get(outcome, ())
    block = " AND ".join([outcome, *(str(Not(Comparison(flag))) for flag in worse)])
    return f"{service} {{ {block} }}"


def found(store: Store, text: str) -> set[bytes]:
    positions, cursor = search(store.engine, START, END, text, 1000)
    assert cursor is None
    assert count(store.engine, START, END, text) == len(positions)
    return {position.trace_id for position in positions}


@pytest.mark.parametrize("seed", range(10, 12))
def test_the_map_links_to_its_own_requests(store: Store, seed: int) -> None:
    rows = random_traces(seed, BASE * SECOND, 40)
    store.insert([(resource, [segment]) for resource, segment in rows])
    traces = by_trace(rows)
    rollup = Rollup(store.engine)
    rollup.touched({segment.start // SECOND for _, segment in rows})
    rollup.run_once()
    graph = service_graph(store.engine, rollup.dirty, START, END)
    keys = {node_id(key): key for each in traces.values() for key in [*each.nodes, *ends(each)]}
    assert {node.id for node in graph.nodes} == set(keys)
    for node in graph.nodes:
        key = keys[node.id]
        behind = {trace_id: requests(each, key) for trace_id, each in traces.items()}
        shown = [node] if node.type != "client" else [edge for edge in graph.edges if edge.source == node.id]
        for place, outcome in enumerate(OUTCOMES) if sum(item.total for item in shown) else ():
            listed = found(store, link(key, outcome))
            assert listed == {trace_id for trace_id, counts in behind.items() if counts[place]}, (key, outcome)
            number = sum(getattr(item, outcome) for item in shown)
            assert number == sum(behind[trace_id][place] for trace_id in listed), (key, outcome)
        assert found(store, link(key)) == {
            trace_id for trace_id, each in traces.items() if key in each.nodes or key in ends(each)
        }, key


def requests(expected: Expected, key: Node) -> list[int]:
    """Requests of a node by outcome; a client's are those on its edges."""
    if key[1] != "client":
        return expected.nodes.get(key, [0, 0, 0, 0])
    edges = [counts for (source, _, _), counts in expected.edges.items() if source == key]
    return [sum(counts) for counts in zip(*edges, strict=True)] or [0, 0, 0, 0]


def ends(expected: Expected) -> set[Node]:
    return {node for source, target, _ in expected.edges for node in (source, target)}
