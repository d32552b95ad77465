"""What is called a change between two maps, and what is chance."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from fluoro.model import Kind, Resource, Segment
from fluoro_collector.query.graph.filtered_graph import filtered_graph
from fluoro_collector.query.graph.graph_difference import Change, compared, graph_difference, latency_shift
from fluoro_collector.query.graph.service_graph import Edge, Node, ServiceGraph
from fluoro_collector.query.graph.statistics import Statistics, figures
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.histogram import bucket
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND

MS = 1_000_000


def sums(total: int, *, fault: int = 0, error: int = 0, times: list[int] | None = None) -> dict[str, Any]:
    statistics = Statistics()
    each = times if times is not None else [10 * MS] * total
    statistics.add((total - fault - error, error, 0, fault, total, sum(each), Counter(map(bucket, each))))
    return figures(statistics)


def graph(
    nodes: dict[str, dict[str, Any]],
    edges: dict[tuple[str, str], dict[str, Any]] | None = None,
    *,
    seconds: float = 600,
    since: float | None = 0,
) -> ServiceGraph:
    return ServiceGraph(
        start=0,
        end=seconds,
        since=since,
        nodes=[
            Node(id=f"{name}|", name=name, type="", inferred=False, root=False, **each) for name, each in nodes.items()
        ],
        edges=[
            Edge(id=f"{source}|->{target}|", source=f"{source}|", target=f"{target}|", kind="sync", **each)
            for (source, target), each in (edges or {}).items()
        ],
    )


def change(now: dict[str, Any] | None, base: dict[str, Any] | None, **more: Any) -> Change:
    """Of a node "a", beside a busy one that stays."""
    rest = {"rest": sums(1000)}
    graphs = [graph(rest if each is None else {**rest, "a": each}, **more) for each in (now, base)]
    found = {each.name: each for each in compared(*graphs).nodes}
    assert found["rest"].changes == []
    return found["a"]


@pytest.mark.parametrize(("total", "told"), [(3, False), (9, False), (10, True), (500, True)])
def test_new_and_gone(total: int, told: bool) -> None:
    new, gone = change(sums(total), None), change(None, sums(total))
    assert (new.changes, gone.changes) == ((["new"], ["gone"]) if told else ([], []))
    assert (new.base, gone.now) == (None, None)
    assert new.now is not None
    assert new.now.total == total
    assert new.importance == pytest.approx(total / (1000 + total) if told else 0)


def test_new_by_the_length_of_both_ranges() -> None:
    """5 requests in a minute, none in the hour before: new. 12 in an hour, none in the minute before: perhaps not."""
    minute, hour = graph({"a": sums(5)}, seconds=60), graph({"rest": sums(9)}, seconds=3600)
    assert {each.name: each.changes for each in compared(minute, hour).nodes} == {"a": ["new"], "rest": []}
    minute, hour = graph({"rest": sums(9)}, seconds=60), graph({"a": sums(300)}, seconds=3600)
    assert {each.name: each.changes for each in compared(hour, minute).nodes}["a"] == []


def test_a_range_counts_from_its_first_data() -> None:
    young = graph({"rest": sums(9)}, seconds=3600, since=3590)
    found = {each.name: each for each in compared(graph({"a": sums(100)}, seconds=3600), young).nodes}
    assert found["a"].changes == []
    nothing = graph({}, since=None)
    assert compared(graph({"a": sums(100)}), nothing).nodes[0].changes == []
    assert compared(nothing, graph({"a": sums(100)})).nodes[0].changes == []
    assert compared(nothing, nothing).nodes == []


@pytest.mark.parametrize(
    ("now", "base", "changes"),
    [
        (sums(3, fault=3), sums(3), []),
        (sums(19, fault=19), sums(1000), []),
        (sums(20, fault=20), sums(1000), ["more_failing"]),
        (sums(100, fault=2), sums(100), []),
        (sums(100, fault=20), sums(100), ["more_failing"]),
        (sums(100, error=20), sums(100), ["more_failing"]),
        (sums(100), sums(100, fault=20), ["less_failing"]),
        (sums(100_000, fault=500), sums(100_000), []),
        (sums(100_000, fault=1500), sums(100_000), ["more_failing"]),
        (sums(1000, fault=500), sums(1000, fault=500), []),
        (sums(0), sums(100), []),
    ],
)
def test_failing(now: dict[str, Any], base: dict[str, Any], changes: list[str]) -> None:
    assert change(now, base).changes == changes


def test_the_figures_of_both_sides() -> None:
    found = change(sums(100, fault=30, error=10), sums(200, error=20))
    assert found.now is not None
    assert found.base is not None
    assert (found.now.total, found.now.failing, found.now.fault, found.now.rate) == (100, 40, 30, 100 / 600)
    assert (found.base.total, found.base.failing, found.base.mean) == (200, 20, pytest.approx(0.01))
    assert found.base.p50 == pytest.approx(0.01, rel=0.09)
    assert found.failing is not None
    value, low, high = found.failing
    assert value == pytest.approx(0.3)
    assert 0 < low < value < high
    assert found.importance == pytest.approx(0.3 * 200 / 1200)


def spread(rng: random.Random, count: int, factor: float = 1, tail: float = 0) -> list[int]:
    """Log-normal times around 10 ms; a share `tail` of them ten times longer."""
    return [
        round(rng.lognormvariate(0, 0.5) * 10 * MS * factor * (10 if rng.random() < tail else 1)) for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "factor", "tail", "changes"),
    [
        (40, 10, 0, []),
        (60, 10, 0, ["slower"]),
        (60, 0.1, 0, ["faster"]),
        (300, 1.5, 0, ["slower"]),
        (20_000, 1.05, 0, []),
        (20_000, 1.4, 0, ["slower"]),
        (100, 1, 0.1, []),
        (5_000, 1, 0.1, ["slower"]),
    ],
)
def test_slower_and_faster(count: int, factor: float, tail: float, changes: list[str]) -> None:
    rng = random.Random(count)
    now, base = spread(rng, count, factor, tail), spread(rng, count)
    assert change(sums(count, times=now), sums(count, times=base)).changes == changes


def test_chance_alone_is_rarely_a_change() -> None:
    """400 pairs of like with like, of all sizes: about 0.1 % of each kind of change would be allowed."""
    rng = random.Random(1)
    told = 0
    for _ in range(400):
        sides = []
        for _ in range(2):
            size = rng.choice([5, 20, 50, 200])
            sides.append(sums(size, fault=sum(rng.random() < 0.1 for _ in range(size)), times=spread(rng, size)))
        told += len(change(*sides).changes)
    assert told <= 2


def test_a_shift_has_a_sign_and_needs_requests() -> None:
    slow, fast = {40: 100}, {20: 100}
    assert latency_shift(slow, fast) == 1
    assert latency_shift(fast, slow) == -1
    assert latency_shift(slow, slow) == 0
    assert latency_shift({40: 49}, fast) == 0
    assert latency_shift({}, {}) == 0


def test_several_changes_and_their_order() -> None:
    slow = [100 * MS] * 100
    now = graph({"a": sums(100, fault=50, times=slow), "b": sums(1000, fault=30), "c": sums(50), "d": sums(2000)})
    base = graph({"a": sums(100), "b": sums(1000), "d": sums(2000), "e": sums(2)})
    found = compared(now, base).nodes
    assert [(each.name, each.changes) for each in found] == [
        ("a", ["slower", "more_failing"]),
        ("c", ["new"]),
        ("b", ["more_failing"]),
        ("d", []),
        ("e", []),
    ]


def test_edges_and_a_client() -> None:
    """A client has no requests of its own: those of its edges say whether it is new."""
    calls = {("phone", "web"): sums(100, fault=50), ("web", "pay"): sums(50)}
    now = graph({"phone": sums(0), "web": sums(100, fault=50), "pay": sums(50)}, calls)
    base = graph({"web": sums(100)}, {("web", "old"): sums(80)})
    found = compared(now, base)
    assert {each.id: each.changes for each in found.nodes} == {
        "phone|": ["new"],
        "web|": ["more_failing"],
        "pay|": ["new"],
    }
    assert {each.id: (each.changes, each.source, each.target) for each in found.edges} == {
        "phone|->web|": (["new"], "phone|", "web|"),
        "web|->pay|": (["new"], "web|", "pay|"),
        "web|->old|": (["gone"], "web|", "old|"),
    }


def test_two_ranges_of_a_store(store: Store) -> None:
    def request(number: int, at: int, fault: bool) -> tuple[Resource, list[Segment]]:
        name = "new" if at >= BASE + 600 else "old"
        start, trace_id = at * SECOND, number.to_bytes(16, "big")
        entry = Segment(trace_id, 1, 0, "web", start, start + 20 * MS, Kind.SERVER, fault=fault)
        call = Segment(trace_id, 2, 1, name, start + 1, start + 10 * MS, Kind.CLIENT, True, "remote")
        return Resource(service_name="web"), [entry, call]

    store.insert([request(n, BASE + 10 * n, fault=n >= 60 and n % 2 == 0) for n in range(120)])
    dirty = Rollup(store.engine).dirty
    found = graph_difference(store.engine, dirty, BASE + 600, BASE + 1200, BASE, BASE + 600)
    assert {each.id: each.changes for each in found.nodes} == {
        "web|": ["more_failing"],
        "web|client": ["more_failing"],
        "new|remote": ["new"],
        "old|remote": ["gone"],
    }
    assert {each.id: each.changes for each in found.edges} == {
        "web|client->web|": ["more_failing"],
        "web|->new|remote": ["new"],
        "web|->old|remote": ["gone"],
    }
    assert (found.since, found.base_since) == (BASE + 600, BASE)
    failing = graph_difference(store.engine, dirty, BASE + 600, BASE + 1200, BASE, BASE + 600, "fault")
    assert failing.base_since is None
    assert {each.id: each.changes for each in failing.nodes} == {"web|": [], "web|client": [], "new|remote": []}
    shown = filtered_graph(store.engine, dirty, BASE + 600, BASE + 1200, "fault")
    assert {each.id: each.now.total for each in failing.nodes if each.now} == {
        each.id: each.total or 30 for each in shown.nodes
    }
