"""Random expressions over random, damaged traces: the store's answer is the interpreter's."""

from __future__ import annotations

import random
from collections import defaultdict

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filter_interpreter import InterpretedTrace, Row
from filter_trees import combined
from fluoro.model import Http, Resource, Segment
from fluoro_collector.query.filter import grammar, tree
from fluoro_collector.query.filter.grammar import KEYWORDS, Scope
from fluoro_collector.query.search.search import count, search
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import ORIGINS, SERVICES, random_traces

START, END = float(BASE), float(BASE + 600)
_RESOURCES = ({}, {"cloud.account.id": "1", "cloud.availability_zone": "eu-1a", "host.id": "i-1"})
_VOCABULARY: dict[str, tuple[object, ...]] = {
    "responsetime": (0.2, 0.5, 0.8),
    "duration": (0.5, 2.0, 60.0),
    "http.status": (200.0, 404.0, 500.0),
    "index": (0.0, 1.0, 2.0),
    "http.url": ("http://h/a", "/b", "http"),
    "http.method": ("GET", "POST"),
    "http.useragent": ("curl",),
    "http.clientip": ("::1",),
    "user": ("bob", "b", ""),
    "name": (*SERVICES, "example.org"),
    "type": ("", "remote", "AWS::", "Database::SQL"),
    "account.id": ("1", "2"),
    "availabilityzone": ("eu-1a", "eu"),
    "instance.id": ("i-1",),
    "resource.arn": ("arn:a", "arn"),
}


def decorated(seed: int, count: int) -> list[Row]:
    """Random traces whose rows say something to every keyword."""
    rng = random.Random(seed)
    rows: list[Row] = []
    for resource, segment in random_traces(seed, BASE * SECOND, count, spread_s=500):
        changes: dict[str, object] = {}
        if rng.random() < 0.5:
            url = rng.choice(["http://h/a", "http://h/b"])
            changes["http"] = Http(
                rng.choice(["GET", "POST"]), url, rng.choice([0, 200, 404, 500]), -1, "curl/8", "::1"
            )
        if rng.random() < 0.2:
            changes["user"] = rng.choice(["bob", "ann"])
        if rng.random() < 0.3:
            changes["annotations"] = {
                "plan": rng.choice(["gold", "free", True]),
                rng.choice(["n", "m"]): rng.choice([1, 2.5, "1"]),
            }
        if rng.random() < 0.1:
            changes["resource_arn"] = "arn:a"
        if rng.random() < 0.2:
            changes["aws"] = {**(segment.aws or {}), "account_id": rng.choice(["1", "2"])}
        if rng.random() < 0.05:
            changes |= {"in_progress": True, "end": 0}
        whose = (
            msgspec.structs.replace(resource, attributes=rng.choice(_RESOURCES)) if resource.service_name else resource
        )
        rows.append((whose, msgspec.structs.replace(segment, **changes)))
    return rows


def sensible(scope: Scope) -> st.SearchStrategy[tree.Comparison]:
    """Comparisons with values that some row has."""
    found = []
    for keyword in grammar.keywords_of(scope):
        operators = {
            bool: grammar.BOOLEAN_OPERATORS,
            float: grammar.NUMBER_OPERATORS,
            str: grammar.STRING_OPERATORS,
        }[keyword.kind]
        values = st.sampled_from(_VOCABULARY.get(keyword.name, (True, False)))
        found.append(st.builds(tree.Comparison, st.just(keyword.name)))
        found.append(st.builds(tree.Comparison, st.just(keyword.name), st.sampled_from(operators), values))
    return st.one_of(found)


def blocks(scope: Scope) -> st.SearchStrategy[tree.Expression | None]:
    return st.none() | st.recursive(sensible(scope), combined, max_leaves=4)


NODES = st.builds(
    tree.Identity,
    st.none() | st.sampled_from([*SERVICES, "orders", "shop@db", "https://sqs/q", "example.org"]),
    st.none() | st.sampled_from(["client", "remote", "AWS::SQS::Queue", "Database::SQL", *set(ORIGINS.values())]),
    st.none() | st.none() | st.sampled_from(["1", "2"]),
)
ANNOTATIONS = st.one_of(
    st.builds(tree.Annotation, st.sampled_from(["plan", "n", "m", "none"])),
    st.builds(
        tree.Annotation,
        st.sampled_from(["plan", "n"]),
        st.sampled_from(grammar.STRING_OPERATORS),
        st.sampled_from(["gold", "true", "1", "fr"]),
    ),
    st.builds(
        tree.Annotation, st.just("n"), st.sampled_from(grammar.NUMBER_OPERATORS), st.sampled_from([1.0, 2.0, 2.5])
    ),
    st.builds(tree.Annotation, st.just("plan"), st.sampled_from(grammar.BOOLEAN_OPERATORS), st.booleans()),
)
TERMS = st.one_of(
    sensible(Scope.TRACE),
    ANNOTATIONS,
    st.builds(tree.Service, st.none() | NODES, blocks(Scope.SERVICE)),
    st.builds(tree.Edge, NODES, NODES, blocks(Scope.EDGE)),
)
EXPRESSIONS = st.recursive(TERMS, combined, max_leaves=3)


class Filled:
    """A store with traces, and these traces for the interpreter. Half of it is rolled up, half is computed live."""

    def __init__(self, store: Store) -> None:
        rows = decorated(5, 30)
        half = len(rows) // 2
        self.store = store
        store.insert([(resource, [segment]) for resource, segment in rows[:half]])
        self.rollup = Rollup(store.engine)
        self.rollup.run_once()
        store.insert([(resource, [segment]) for resource, segment in rows[half:]])
        # What an unfinished copy of a finished row says does not count, whenever it comes.
        store.insert([(resource, [_unfinished(each)]) for resource, each in rows[::5] if not each.in_progress])
        self.rollup.touched({segment.start // SECOND for _, segment in rows[half:] + rows[::5]})
        traces: dict[bytes, list[Row]] = defaultdict(list)
        for row in rows:
            traces[row[1].trace_id].append(row)
        self.traces = {trace_id: InterpretedTrace(each) for trace_id, each in traces.items()}


def _unfinished(segment: Segment) -> Segment:
    return msgspec.structs.replace(segment, in_progress=True, end=0, annotations={"plan": "unfinished"}, user="nobody")


@pytest.fixture(scope="module")
def filled(opened: Store) -> Filled:
    return Filled(opened)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(expression=EXPRESSIONS)
def test_an_expression_finds_what_the_interpreter_does(filled: Filled, expression: tree.Expression) -> None:
    engine, dirty = filled.store.engine, filled.rollup.dirty
    wanted = {
        trace_id
        for trace_id, trace in filled.traces.items()
        if trace.holds(expression) and START * SECOND <= min(s.start for _, s in trace.rows) < END * SECOND
    }
    found, following = search(engine, dirty, START, END, str(expression), 1000)
    assert {position.trace_id for position in found} == wanted, str(expression)
    assert following is None
    assert count(engine, dirty, START, END, str(expression)) == len(wanted)


def test_every_keyword_is_in_the_vocabulary() -> None:
    other = {name for name, each in KEYWORDS.items() if each.kind is not bool} - {"coverage", "message"}
    assert set(_VOCABULARY) == other
    assert Resource().attributes == {}
