"""Migrations: what runs, what is shown, what an old store becomes, and two collectors that start together."""

from __future__ import annotations

import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clickhouse_nodes import Node
from contracts.segments import RESOURCE, full_segment
from fluoro_collector.query.graph.service_graph import service_graph
from fluoro_collector.rollup import Rollup
from fluoro_collector.store import migrate
from fluoro_collector.store.embedded import Embedded
from fluoro_collector.store.engine import StoreError
from fluoro_collector.store.server import Server
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import delivered, random_traces

FIRST_RELEASE = 4  # the schema that had segments, resources, nodes_1m, edges_1m


def test_a_file_may_hold_several_statements() -> None:
    text = "-- a remark; not a statement\nCREATE TABLE a\n(x String COMMENT 'one; two');\n\nALTER TABLE b ADD COLUMN c UInt8;\n"
    assert migrate.split(text) == ["CREATE TABLE a\n(x String COMMENT 'one; two')", "ALTER TABLE b ADD COLUMN c UInt8"]


def test_every_statement_can_be_told_apart_and_may_run_twice() -> None:
    for name, text in migrate.files().values():
        for statement in migrate.split(text):
            assert "IF NOT EXISTS" in statement or "IF EXISTS" in statement, name


def test_what_would_run_is_shown_and_nothing_happens(embedded_store: Store) -> None:
    engine = embedded_store.engine
    assert migrate.statements(engine) == []
    engine.command("ALTER TABLE schema_migrations DELETE WHERE number = 2 SETTINGS mutations_sync = 2")
    engine.command("DROP TABLE resources")
    shown = migrate.statements(engine)
    assert shown[0].startswith("CREATE TABLE IF NOT EXISTS schema_migrations")
    assert shown[1:] == migrate.split(migrate.files()[2][1])
    assert engine.query("EXISTS TABLE resources")["result"] == [0]
    assert embedded_store.migrate() == ["0002_resources.sql"]
    assert migrate.statements(engine) == []


def test_without_a_database_the_database_is_shown_too(node: Node) -> None:
    database = f"none_{uuid.uuid4().hex}"
    engine = Server(f"clickhouse://{node.host}/{database}", create=False)
    shown = migrate.statements(engine)
    engine.close()
    assert shown[0] == f"CREATE DATABASE IF NOT EXISTS `{database}`"
    assert len(shown) == 2 + sum(len(each.statements) for each in migrate.migrations())
    watcher = Server(f"clickhouse://{node.host}/default")
    assert watcher.query("SELECT count() AS n FROM system.databases WHERE name = {n:String}", {"n": database}) == {
        "n": [0]
    }
    watcher.close()


def test_two_collectors_start_together(node: Node) -> None:
    url = f"clickhouse://{node.host}/both_{uuid.uuid4().hex}"
    barrier = threading.Barrier(4)

    def start() -> int:
        barrier.wait(30)
        store = Store(Server(url))
        store.migrate()
        stored = store.insert([(RESOURCE, [full_segment()])])
        store.close()
        return stored

    with ThreadPoolExecutor(4) as pool:
        assert [done.result(60) for done in [pool.submit(start) for _ in range(4)]] == [1] * 4
    store = Store(Server(url))
    assert store.migrate() == []
    assert store.count() >= 1  # copies of one segment: a merge may have come by
    store.close()


def test_a_newer_schema_is_refused_before_anything_changes(embedded_store: Store) -> None:
    embedded_store.engine.insert(
        "schema_migrations",
        {"number": ("UInt32", [9999]), "name": ("String", ["9999_x.sql"]), "applied": ("DateTime64(3, 'UTC')", [0])},
    )
    embedded_store.engine.command("ALTER TABLE schema_migrations DELETE WHERE number = 2 SETTINGS mutations_sync = 2")
    with pytest.raises(StoreError, match=r"9999.*newer version.*pip install --upgrade fluoro"):
        embedded_store.migrate()
    assert 2 not in embedded_store.engine.query("SELECT number FROM schema_migrations")["number"]


def test_a_store_of_the_first_release_gets_traces_and_hours(tmp_path: Path) -> None:
    rows = random_traces(3, BASE * SECOND)
    store = Store(Embedded(tmp_path / "data"))
    store.migrate()
    for batch in delivered(rows, random.Random(3)):
        store.insert([(resource, [segment]) for resource, segment in batch])
    rollup = Rollup(store.engine)
    rollup.run_once()
    before = service_graph(store.engine, rollup.dirty, float(BASE - 3600), float(BASE + 7200))
    # What the first release had: its four tables, with these rows.
    for number, (_, text) in migrate.files().items():
        if number > FIRST_RELEASE:
            for statement in migrate.split(text):
                store.engine.command(f"DROP TABLE {statement.split()[5]}")
    store.engine.command(
        f"ALTER TABLE schema_migrations DELETE WHERE number > {FIRST_RELEASE} SETTINGS mutations_sync = 2"
    )
    store.close()

    store = Store(Embedded(tmp_path / "data"))
    assert store.migrate() == [name for number, (name, _) in migrate.files().items() if number > FIRST_RELEASE]
    rollup = Rollup(store.engine)
    rollup.run_once()
    traces = {segment.trace_id for _, segment in rows}
    found = store.engine.query("SELECT DISTINCT trace_id FROM traces WHERE segments > 0")["trace_id"]
    assert set(found) == traces
    totals = "SELECT sum(total) AS total FROM {} WHERE ({}, version) IN (SELECT {}, max(version) FROM {} GROUP BY 1)"
    minutes = store.engine.query(totals.format("nodes_1m", "minute", "minute", "nodes_1m"))
    hours = store.engine.query(totals.format("nodes_1h", "hour", "hour", "nodes_1h"))
    assert minutes == hours
    assert minutes["total"][0] > 0
    assert service_graph(store.engine, rollup.dirty, float(BASE - 3600), float(BASE + 7200)) == before
    store.close()
