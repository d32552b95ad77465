"""The questions of analytics have one answer, whatever the engine: embedded, or two shards of a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from clickhouse_nodes import ClusterServer, running_nodes
from faceted_traces import faceted_traces, insert
from fluoro_collector.query.expert.sql import SqlError, expert_sql
from fluoro_collector.query.graph.filtered_graph import filtered_graph, traces_graph
from fluoro_collector.query.graph.graph_difference import graph_difference
from fluoro_collector.query.graph.graph_minutes import Dirty
from fluoro_collector.query.sets.comparison import comparison
from fluoro_collector.query.sets.top_values import top_values
from fluoro_collector.query.sets.trace_series import trace_series
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND, empty

START, MIDDLE, END = float(BASE), float(BASE + 300), float(BASE + 900)
GOLD = 'annotation.plan = "gold"'
ROWS, FACTS = faceted_traces(11, BASE * SECOND, 40, 600)

Question = Callable[[Engine, Dirty], Any]
QUESTIONS: dict[str, Question] = {
    "graph of a filter": lambda engine, dirty: filtered_graph(engine, dirty, START, END, "!ok"),
    "graph of traces": lambda engine, _: traces_graph(engine, [each.trace_id for each in FACTS[:3]]),
    "difference": lambda engine, dirty: graph_difference(engine, dirty, MIDDLE, END, START, MIDDLE),
    "series": lambda engine, dirty: trace_series(engine, dirty, START, END, 600),
    "annotations": lambda engine, dirty: top_values(engine, dirty, START, END, "annotation.plan", GOLD),
    "hosts": lambda engine, dirty: top_values(engine, dirty, START, END, "host"),
    "comparison": lambda engine, dirty: comparison(engine, dirty, START, END, GOLD),
    "sql": lambda engine, _: (
        expert_sql(
            engine, "SELECT service, uniqExact(trace_id, id) AS n FROM segments GROUP BY service ORDER BY service"
        ).rows
    ),
}


def fill(store: Store) -> Rollup:
    insert(store, ROWS)
    rollup = Rollup(store.engine)
    rollup.touched({each.began // SECOND for each in FACTS})
    rollup.run_once()
    return rollup


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Rollup]]:
    with running_nodes(tmp_path_factory.mktemp("shards"), 2) as nodes:
        store = Store(ClusterServer(nodes, "analytics"))
        store.migrate()
        yield store, fill(store)
        store.close()


@pytest.fixture(scope="module")
def embedded(opened: Store) -> tuple[Store, Rollup]:
    return opened, fill(empty(opened))


@pytest.mark.parametrize("name", QUESTIONS)
def test_two_shards_answer_as_one_engine(
    embedded: tuple[Store, Rollup], cluster: tuple[Store, Rollup], name: str
) -> None:
    one, two = (
        json.loads(msgspec.json.encode(QUESTIONS[name](store.engine, rollup.dirty)))
        for store, rollup in (embedded, cluster)
    )
    assert one == two
    assert one


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM segments_local",
        "SELECT * FROM configuration",
        "SELECT 'x' IN configuration_local",
        "SELECT * FROM system.one",
        "SELECT 0 IN system.one",
        "SELECT file('/etc/passwd')",
        "SELECT * FROM cluster('shards', 'system.one')",
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
        "SELECT 1 SETTINGS max_execution_time = 0",
    ],
)
def test_a_server_is_no_more_open_to_experts(cluster: tuple[Store, Rollup], query: str) -> None:
    with pytest.raises(SqlError, match="not allowed"):
        expert_sql(cluster[0].engine, query)


def test_a_servers_complaint_is_told_without_our_own_statement(cluster: tuple[Store, Rollup]) -> None:
    for query, reason in [
        ("SELECT FROM WHERE", "Syntax error"),
        ("SELECT 1 FROM nonsense", "nonsense"),
        ("SELECT {x:String}", "x"),
    ]:
        with pytest.raises(SqlError, match=reason) as told:
            expert_sql(cluster[0].engine, query)
        assert "max_execution_time" not in str(told.value)
