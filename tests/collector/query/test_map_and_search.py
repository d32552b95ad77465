"""Every number on the map is the number of requests in the traces that the search behind it finds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from brute_graph import Expected, Node
from fluoro.model import Resource, Segment
from fluoro_collector.query.filter.compile import compile_filter
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.query.filter.tree import Comparison, Edge, Identity, Not, Service
from fluoro_collector.query.graph.service_graph import node_id, service_graph
from fluoro_collector.query.search.live_graph import live_params, searched_rows_sql
from fluoro_collector.query.search.search import count, search
from fluoro_collector.query.search.trace_rows import trace_rows_params
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import random_traces

START, END = float(BASE - 600), float(BASE + 7200)
OUTCOMES = ("ok", "error", "throttle", "fault")
_PER_STATEMENT = 150


def by_trace(rows: list[tuple[Resource, Segment]]) -> dict[bytes, Expected]:
    traces: dict[bytes, list[tuple[Resource, Segment]]] = defaultdict(list)
    for resource, segment in rows:
        traces[segment.trace_id].append((resource, segment))
    return {trace_id: Expected(each) for trace_id, each in traces.items()}


def block(outcome: str) -> str:
    """The requests with one outcome (the worst flag decides); "" = all."""
    if not outcome:
        return ""
    worse = {"error": ("throttle", "fault"), "throttle": ("fault",)}.get(outcome, ())
    return f" {{ {' AND '.join([outcome, *(str(Not(Comparison(flag))) for flag in worse)])} }}"


def node_link(node: Node, outcome: str = "") -> str:
    """What a node of the map links to."""
    return f"{Service(Identity(name=node[0], type=node[1]))}{block(outcome)}"


def edge_link(source: Node, target: Node, outcome: str = "") -> str:
    ends = Identity(name=source[0], type=source[1]), Identity(name=target[0], type=target[1])
    return f"{Edge(*ends)}{block(outcome)}"


def answers(store: Store, rollup: Rollup, texts: Iterable[str]) -> dict[str, set[bytes]]:
    """What each filter finds, asked as a search does, many in one statement."""
    found: dict[str, set[bytes]] = {}
    first, last = int(START), int(END)
    live = rollup.dirty(first, last)
    for chunk in _chunks(dict.fromkeys(texts)):
        params = trace_rows_params(first, last, live)
        columns = []
        for number, text in enumerate(chunk):
            compiled = compile_filter(parse(text))
            assert not compiled.reads_segments
            renamed = re.sub(r"\{(filter|live)", rf"{{of{number}_\1", compiled.condition)
            own = compiled.params | live_params(store.engine, live, compiled)
            params |= {f"of{number}_{name}": value for name, value in own.items()}
            columns.append(f"groupArrayIf(trace_id, {renamed}) AS found{number}")
        rows = searched_rows_sql(graph=True, live=bool(live.minutes))
        answer = store.engine.query(f"SELECT {', '.join(columns)} FROM {rows} AS t", params)
        for number, text in enumerate(chunk):
            listed = answer[f"found{number}"][0]
            assert len(listed) == len(set(listed))
            found[text] = set(listed)
    return found


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while chunk := list(islice(remaining, _PER_STATEMENT)):
        yield chunk


def test_the_map_links_to_its_own_requests(store: Store) -> None:
    """Half of the rows are rolled up, half are computed live."""
    rows = random_traces(10, BASE * SECOND, 30)
    traces = by_trace(rows)
    half = len(rows) // 2
    store.insert([(resource, [segment]) for resource, segment in rows[:half]])
    rollup = Rollup(store.engine)
    rollup.run_once()
    store.insert([(resource, [segment]) for resource, segment in rows[half:]])
    rollup.touched({segment.start // SECOND for _, segment in rows[half:]})
    graph = service_graph(store.engine, rollup.dirty, START, END)
    keys = {node_id(key): key for each in traces.values() for key in [*each.nodes, *ends(each)]}
    assert {node.id for node in graph.nodes} == set(keys)

    edges: dict[tuple[Node, Node], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for edge in graph.edges:
        shown = edges[keys[edge.source], keys[edge.target]]
        for place, outcome in enumerate(OUTCOMES):
            shown[place] += getattr(edge, outcome)
    links = [node_link(key, outcome) for key in keys.values() for outcome in ("", *OUTCOMES)]
    links += [edge_link(*pair, outcome) for pair in edges for outcome in ("", *OUTCOMES)]
    found = answers(store, rollup, links)

    for node in graph.nodes:
        key = keys[node.id]
        behind = {trace_id: requests(each, key) for trace_id, each in traces.items()}
        figures = [getattr(node, outcome) for outcome in OUTCOMES]
        if node.type == "client":
            figures = [sum(counts) for counts in zip(*(e for (s, _), e in edges.items() if s == key), strict=True)]
        for place, outcome in enumerate(OUTCOMES):
            listed = found[node_link(key, outcome)]
            assert listed == {trace_id for trace_id, counts in behind.items() if counts[place]}, (key, outcome)
            assert figures[place] == sum(behind[trace_id][place] for trace_id in listed), (key, outcome)
        assert found[node_link(key)] == {
            trace_id for trace_id, each in traces.items() if key in each.nodes or key in ends(each)
        }, key

    for pair, figures in edges.items():
        behind = {trace_id: calls(each, pair) for trace_id, each in traces.items()}
        for place, outcome in enumerate(OUTCOMES):
            listed = found[edge_link(*pair, outcome)]
            assert listed == {trace_id for trace_id, counts in behind.items() if counts[place]}, (pair, outcome)
            assert figures[place] == sum(behind[trace_id][place] for trace_id in listed), (pair, outcome)
        assert found[edge_link(*pair)] == {trace_id for trace_id, counts in behind.items() if sum(counts)}, pair

    for text in (links[4], links[-4]):
        positions, following = search(store.engine, rollup.dirty, START, END, text, 1000)
        assert following is None
        assert {position.trace_id for position in positions} == found[text]
        assert count(store.engine, rollup.dirty, START, END, text) == len(found[text])


def requests(expected: Expected, key: Node) -> list[int]:
    """Requests of a node by outcome; a client's are those on its edges."""
    if key[1] != "client":
        return expected.nodes.get(key, [0, 0, 0, 0])
    edges = [counts for (source, _, _), counts in expected.edges.items() if source == key]
    return [sum(counts) for counts in zip(*edges, strict=True)] or [0, 0, 0, 0]


def calls(expected: Expected, pair: tuple[Node, Node]) -> list[int]:
    """Calls along an edge by outcome, whatever their kind."""
    edges = [counts for (source, target, _), counts in expected.edges.items() if (source, target) == pair]
    return [sum(counts) for counts in zip(*edges, strict=True)] or [0, 0, 0, 0]


def ends(expected: Expected) -> set[Node]:
    return {node for source, target, _ in expected.edges for node in (source, target)}
