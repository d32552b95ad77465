"""Several hosts in the store's URL: what a person sees when one of them is gone, stopped, read-only or restarted."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from clickhouse_nodes import Node, running_nodes
from contracts.segments import RESOURCE, full_segment
from fluoro_collector.store.engine import StoreBusy
from fluoro_collector.store.server import Server
from fluoro_collector.store.store import Store

WHO = "SELECT getServerPort('tcp_port') AS port"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Two independent servers, which stand for two replicas: each has the schema."""
    with running_nodes(tmp_path_factory.mktemp("hosts"), 2) as nodes:
        for node in nodes:
            one = Store(Server(f"clickhouse://{node.host}/db"))
            one.migrate()
            one.close()
        yield nodes


@pytest.fixture
def nodes(both: list[Node]) -> list[Node]:
    """Both run and have no segments."""
    for node in both:
        if node.process.poll() is not None:
            node.start()
        engine = Server(f"clickhouse://{node.host}/db")
        engine.command("TRUNCATE TABLE segments")
        engine.close()
    return both


@pytest.fixture
def store(nodes: list[Node]) -> Iterator[Store]:
    store = Store(Server(f"clickhouse://{nodes[0].host},{nodes[1].host}/db?connect_timeout=1"))
    yield store
    store.close()


def rows(node: Node) -> int:
    engine = Server(f"clickhouse://{node.host}/db")
    try:
        return int(engine.query("SELECT count() AS n FROM segments")["n"][0])
    finally:
        engine.close()


def test_the_first_host_answers(store: Store, nodes: list[Node]) -> None:
    assert store.engine.query(WHO) == {"port": [nodes[0].port]}


def test_when_a_host_is_gone_the_next_one_answers_and_keeps_answering(store: Store, nodes: list[Node]) -> None:
    assert store.count() == 0  # a connection to the first is pooled
    nodes[0].end()
    assert store.engine.query(WHO) == {"port": [nodes[1].port]}
    store.insert([(RESOURCE, [full_segment()])], "gone")
    store.insert([(RESOURCE, [full_segment(id=2)])])
    nodes[0].start()
    assert store.engine.query(WHO) == {"port": [nodes[1].port]}  # it stays where it is served
    assert (rows(nodes[0]), rows(nodes[1])) == (0, 2)


def test_a_host_that_accepts_and_says_nothing_is_passed_by(store: Store, nodes: list[Node]) -> None:
    assert store.count() == 0
    nodes[0].stop()
    assert store.engine.query(WHO) == {"port": [nodes[1].port]}
    assert store.insert([(RESOURCE, [full_segment()])], "silent") == 1
    fresh = Server(f"clickhouse://{nodes[0].host},{nodes[1].host}/db?connect_timeout=0.5")
    assert fresh.query(WHO) == {"port": [nodes[1].port]}
    fresh.close()
    nodes[0].go_on()


def test_a_read_only_replica_hands_an_insert_on(store: Store, nodes: list[Node]) -> None:
    store.engine.command("ALTER TABLE segments MODIFY SETTING table_readonly = 1")
    store.insert([(RESOURCE, [full_segment()])])  # without a token too: it was refused before it was taken
    assert (rows(nodes[0]), rows(nodes[1])) == (0, 1)
    first = Server(f"clickhouse://{nodes[0].host}/db")
    first.command("ALTER TABLE segments RESET SETTING table_readonly")
    first.close()


def test_a_question_under_way_is_asked_again_elsewhere(store: Store, nodes: list[Node]) -> None:
    answers: list[dict[str, list[int]]] = []
    sql = f"SELECT any(port) AS port, sum(slept) AS slept FROM ({WHO}, sleepEachRow(0.02) AS slept FROM numbers(100))"
    asking = threading.Thread(target=lambda: answers.append(store.engine.query(sql, None, {"max_block_size": 1})))
    asking.start()
    watcher = Server(f"clickhouse://{nodes[0].host}/default")
    while not watcher.query("SELECT count() AS n FROM system.processes WHERE query LIKE '%slept%'")["n"][0] > 1:
        assert asking.is_alive()
    watcher.close()
    nodes[0].end()
    asking.join(60)
    assert answers == [{"port": [nodes[1].port], "slept": [0]}]


def test_inserts_with_tokens_lose_and_double_nothing_while_a_server_restarts(nodes: list[Node]) -> None:
    """One host: what fails is tried again with the same token, as the spool does."""
    store = Store(Server(f"clickhouse://{nodes[0].host}/db?connect_timeout=1"))
    stop = threading.Event()
    acknowledged: list[int] = []
    refused = threading.Event()

    def load() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            while True:
                try:
                    store.insert([(RESOURCE, [full_segment(id=number)])], f"restart-{number}")
                except StoreBusy:
                    refused.set()
                    continue
                acknowledged.append(number)
                break

    loading = threading.Thread(target=load)
    loading.start()
    for _ in range(2):
        before = len(acknowledged)
        while len(acknowledged) < before + 5:
            assert loading.is_alive()
        refused.clear()
        nodes[0].end()
        assert refused.wait(60)
        nodes[0].start()
    stop.set()
    loading.join(60)
    assert store.engine.query("SELECT id FROM segments ORDER BY id")["id"] == acknowledged
    store.close()


def test_when_all_are_gone_the_error_says_where(store: Store, nodes: list[Node]) -> None:
    for node in nodes:
        node.end()
    with pytest.raises(StoreBusy, match=r"127\.0\.0\.1:\d+ cannot be reached"):
        store.engine.query("SELECT 1")
    nodes[1].start()
    assert store.engine.query(WHO) == {"port": [nodes[1].port]}


def test_an_insert_without_a_token_is_not_sent_twice(store: Store, nodes: list[Node]) -> None:
    """Nobody could tell whether the first host had stored it."""
    for node in nodes:
        engine = Server(f"clickhouse://{node.host}/db")
        engine.command(
            "CREATE TABLE slow (x UInt8 MATERIALIZED sleepEachRow(3), id UInt64) ENGINE = MergeTree ORDER BY id"
        )
        engine.close()
    failures: list[Exception] = []

    def insert() -> None:
        try:
            store.engine.insert("slow", {"id": ("UInt64", [1])})
        except StoreBusy as error:
            failures.append(error)

    inserting = threading.Thread(target=insert)
    inserting.start()
    watcher = Server(f"clickhouse://{nodes[0].host}/default")
    while not watcher.query("SELECT count() AS n FROM system.processes WHERE query LIKE 'INSERT INTO%'")["n"][0]:
        assert inserting.is_alive()
    watcher.close()
    nodes[0].end()
    inserting.join(60)
    assert len(failures) == 1
    assert store.engine.query("SELECT getServerPort('tcp_port') AS port, count() AS n FROM slow") == {
        "port": [nodes[1].port],
        "n": [0],
    }
