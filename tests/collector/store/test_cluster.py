"""The store over two shards: real servers, real Distributed tables. Replication and ON CLUSTER, which need a Keeper, as text."""

from __future__ import annotations

import random
import re
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from brute_graph import Expected
from clickhouse_nodes import ClusterServer, Node, running_nodes
from contracts.segments import RESOURCE, START, full_segment
from fluoro_collector.query.graph.service_graph import node_id, service_graph
from fluoro_collector.query.search.trace_rows import trace_rows_params, trace_rows_sql
from fluoro_collector.rollup import Rollup
from fluoro_collector.store import migrate
from fluoro_collector.store.check import FAILED, check
from fluoro_collector.store.cluster import on_cluster, sharding_key
from fluoro_collector.store.engine import StoreError
from fluoro_collector.store.erase import delete_traces, redact
from fluoro_collector.store.retention import Retention
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import delivered, random_traces

DAY = 86_400


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    with running_nodes(tmp_path_factory.mktemp("shards"), 2) as nodes:
        yield nodes


@pytest.fixture
def engine(nodes: list[Node]) -> Iterator[ClusterServer]:
    engine = ClusterServer(nodes, f"traces_{uuid.uuid4().hex}")
    yield engine
    engine.close()


@pytest.fixture
def store(engine: ClusterServer) -> Store:
    store = Store(engine)
    store.migrate()
    return store


# Statements

PLAIN = """CREATE TABLE IF NOT EXISTS things
(
    minute DateTime('UTC') COMMENT 'a, ''b'' (c)',
    name String DEFAULT concat('(', 'x')
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, name)
SETTINGS fsync_after_insert = 1, non_replicated_deduplication_window = 1000
COMMENT 'what it is'
"""


def test_the_statements_of_a_cluster() -> None:
    assert on_cluster(PLAIN, "prod", "traces") == [
        """CREATE TABLE IF NOT EXISTS things_local ON CLUSTER 'prod'
(
    minute DateTime('UTC') COMMENT 'a, ''b'' (c)',
    name String DEFAULT concat('(', 'x')
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/traces/things', '{replica}', version)
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, name)
SETTINGS fsync_after_insert = 1, replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800
COMMENT 'what it is'""",
        """CREATE TABLE IF NOT EXISTS things ON CLUSTER 'prod' AS things_local
ENGINE = Distributed('prod', 'traces', 'things_local', cityHash64(minute))
COMMENT 'what it is'""",
    ]
    assert on_cluster("ALTER TABLE things ADD COLUMN IF NOT EXISTS x UInt8", "prod", "traces") == [
        "ALTER TABLE things_local ON CLUSTER 'prod' ADD COLUMN IF NOT EXISTS x UInt8",
        "ALTER TABLE things ON CLUSTER 'prod' ADD COLUMN IF NOT EXISTS x UInt8",
    ]
    assert on_cluster("ALTER TABLE things MODIFY SETTING a = 1", "prod", "traces") == [
        "ALTER TABLE things_local ON CLUSTER 'prod' MODIFY SETTING a = 1"
    ]
    with pytest.raises(StoreError, match="no rule"):
        on_cluster("DROP TABLE things", "prod", "traces")


def test_what_lies_together_on_a_shard() -> None:
    found = {}
    for _, text in migrate.files().values():
        for statement in migrate.split(text):
            name = re.match(r"CREATE TABLE IF NOT EXISTS (\w+)", statement)
            if name:
                found[name[1]] = sharding_key(name[1], statement, statement)
    assert found["segments"] == found["traces"] == "trace_id"
    assert found["resources"] == "id"
    assert found["configuration"] == "name"
    for table, key in {
        "nodes_1m": "minute",
        "edges_1m": "minute",
        "nodes_1h": "hour",
        "edges_1h": "hour",
        "nodes_1d": "day",
        "edges_1d": "day",
        "completions_1h": "hour",
    }.items():
        assert found[table] == key


def test_every_statement_of_a_cluster_is_one_of_clickhouse(nodes: list[Node], engine: ClusterServer) -> None:
    statements = migrate.bookkeeping("shards", "db")
    statements += [each for migration in migrate.migrations("shards", "db") for each in migration.statements]
    for statement in statements:
        assert "formatQuery" not in statement
        formatted = engine.query("SELECT formatQuery({sql:String}) AS text", {"sql": statement})["text"][0]
        assert "ON CLUSTER" in formatted
        assert ("Replicated" in formatted) != ("Distributed(" in formatted)


# Rows


def test_traces_are_spread_whole_and_a_token_stores_once(store: Store, engine: ClusterServer) -> None:
    rows = [full_segment(id=number, trace_id=(number // 2).to_bytes(16, "big")) for number in range(60)]
    for _ in range(3):
        store.insert([(RESOURCE, rows)], "batch")
    assert store.count() == 60
    each = engine.on_each("SELECT groupUniqArray(hex(trace_id)) AS ids, count() AS n FROM segments_local")
    one, two = (set(answer["ids"][0]) for answer in each)
    assert one
    assert two
    assert not one & two
    assert sum(answer["n"][0] for answer in each) == 60


def test_a_shard_that_is_gone_is_told_and_the_retry_stores_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = [full_segment(id=number, trace_id=number.to_bytes(16, "big")) for number in range(40)]
    with running_nodes(tmp_path_factory.mktemp("gone"), 2) as nodes:
        engine = ClusterServer(nodes, "db")
        store = Store(engine)
        store.migrate()
        store.insert([(RESOURCE, [])])
        nodes[1].end()
        with pytest.raises(StoreError):
            store.insert([(RESOURCE, rows)], "batch")
        nodes[1].start()
        store.insert([(RESOURCE, rows)], "batch")
        assert store.count() == 40
        engine.close()


def test_a_minute_of_the_rollup_is_on_one_shard(store: Store, engine: ClusterServer) -> None:
    starts = [START + number * 60 * SECOND for number in range(20)]
    store.insert(
        [
            (
                RESOURCE,
                [
                    full_segment(id=n, trace_id=n.to_bytes(16, "big"), start=s, end=s + 5)
                    for n, s in enumerate(starts, 1)
                ],
            )
        ]
    )
    rollup = Rollup(engine)
    rollup.touched({start // SECOND for start in starts})
    assert rollup.run_once() == 20
    each = engine.on_each("SELECT DISTINCT toUnixTimestamp(minute) AS minute FROM nodes_1m_local")
    counted = Counter(minute for answer in each for minute in answer["minute"])
    assert len(counted) == 20
    assert set(counted.values()) == {1}
    assert all(answer["minute"] for answer in each)


def test_the_map_of_a_cluster_is_that_of_brute_force(store: Store, engine: ClusterServer) -> None:
    """Through restarts of the collector and rollups in between, as on one engine."""
    rows = random_traces(7, BASE * SECOND)
    rng = random.Random(7)
    rollup = Rollup(engine)
    for number, batch in enumerate(delivered(rows, rng)):
        store.insert([(resource, [segment]) for resource, segment in batch], f"batch-{number}")
        rollup.touched({segment.start // SECOND for _, segment in batch})
        if number % 7 == 3:
            rollup.run_once()
        if number % 11 == 5:
            rollup = Rollup(engine)
    expected = Expected(rows)
    live = service_graph(engine, rollup.dirty, float(BASE - 600), float(BASE + 3600))
    rollup.run_once()
    rolled = service_graph(engine, rollup.dirty, float(BASE - 600), float(BASE + 3600))
    assert live == rolled
    found = {node.id: [node.ok, node.error, node.throttle, node.fault] for node in rolled.nodes if node.total}
    assert found == {node_id(key): value for key, value in expected.nodes.items()}


# What looks after a store


def test_migrations_are_recorded_once_for_all_nodes(store: Store, engine: ClusterServer) -> None:
    assert store.migrate() == []
    assert migrate.statements(engine) == []
    assert all(" ON CLUSTER 'shards'" in statement for statement in engine.sent)


def test_retention_works_on_every_shard(store: Store, engine: ClusterServer) -> None:
    now = START // SECOND
    rows = []
    for number in range(40):
        start = START - (5 if number < 30 else 50) * DAY * SECOND
        fault = number % 3 == 0
        rows.append(
            full_segment(
                id=number,
                trace_id=number.to_bytes(16, "big"),
                start=start,
                end=start,
                error=False,
                throttle=False,
                fault=fault,
            )
        )
    store.insert([(RESOURCE, rows)], "old")
    engine.sent.clear()
    assert Retention(engine, 3, 30, clock=lambda: now).run_once()
    assert engine.query("SELECT id FROM segments ORDER BY id")["id"] == list(range(0, 30, 3))
    assert any("ALTER TABLE segments_local ON CLUSTER 'shards' DROP PARTITION" in sql for sql in engine.sent)
    assert Retention(engine, 3, 30, clock=lambda: now).run_once() == []


def test_traces_are_deleted_and_annotations_redacted_on_every_shard(store: Store, engine: ClusterServer) -> None:
    rows = [
        full_segment(id=number, trace_id=number.to_bytes(16, "big"), annotations={"k": "v", "n": 1})
        for number in range(1, 21)
    ]
    store.insert([(RESOURCE, rows)], "rows")
    erased = delete_traces(engine, [number.to_bytes(16, "big") for number in range(1, 11)])
    assert erased.rows == 10
    assert engine.query("SELECT id FROM segments ORDER BY id")["id"] == list(range(11, 21))
    assert redact(engine, "k") == 10
    assert engine.query("SELECT DISTINCT annotations, numbers FROM segments") == {
        "annotations": [{}],
        "numbers": [{"n": 1.0}],
    }


def test_a_check_knows_the_cluster(store: Store, engine: ClusterServer) -> None:
    store.insert([(RESOURCE, [full_segment()])])
    Rollup(engine).run_once()
    findings = list(check(engine))
    assert [each for each in findings if each.state == FAILED] == []
    assert "2 shards, 2 replicas" in {each.says for each in findings}
    assert sum(each.what == "version" for each in findings) == 2
    assert any("no table is replicated" in each.says for each in findings)


def test_a_trace_that_moved_to_another_minute_is_one_row(store: Store, engine: ClusterServer) -> None:
    """The row that says which version of the old minute is current is on another shard than some of the traces."""
    ids = [number.to_bytes(16, "big") for number in range(1, 13)]
    late = [full_segment(id=number, trace_id=id_, start=START, end=START + 5) for number, id_ in enumerate(ids, 1)]
    early = START - 300 * SECOND
    first = [full_segment(id=number, trace_id=id_, start=early, end=early + 5) for number, id_ in enumerate(ids, 101)]
    for rows in (late, first):
        store.insert([(RESOURCE, rows)])
        rollup = Rollup(engine)
        rollup.touched({segment.start // SECOND for segment in rows})
        rollup.run_once()
    begin, end = START // SECOND - 3600, START // SECOND + 3600
    live = rollup.dirty(begin, end)
    assert live.minutes == []
    sql = f"SELECT trace_id, segments FROM {trace_rows_sql(graph=True)} ORDER BY trace_id"
    found = engine.query(sql, trace_rows_params(begin, end, live))
    assert found == {"trace_id": ids, "segments": [2] * 12}
