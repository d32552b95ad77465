from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from fluoro.model import Kind, Resource, Segment
from fluoro_collector.query.graph.service_graph import service_graph
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND

TRACE = BASE.to_bytes(4, "big") + b"t" * 12
MINUTE = 60

pytestmark = pytest.mark.usefixtures("no_completions")


def at(second: int) -> int:
    return (BASE + second) * SECOND


ENTRY = Segment(TRACE, 1, 0, "web", at(0), at(1), Kind.SERVER)
CALL = Segment(TRACE, 2, 1, "pay", at(1), at(100), Kind.CLIENT, True, "remote")
CALLEE = Segment(TRACE, 3, 2, "pay", at(90), at(95), Kind.SERVER)


def insert(store: Store, service: str, *segments: Segment) -> None:
    store.insert([(Resource(service_name=service), list(segments))])


def edges(store: Store, rollup: Rollup) -> set[str]:
    return {edge.id for edge in service_graph(store.engine, rollup.dirty, BASE - 3600, BASE + 3600).edges}


def test_a_late_callee_takes_the_inferred_node_from_the_minute_of_its_caller(store: Store) -> None:
    rollup = Rollup(store.engine)
    insert(store, "web", ENTRY, CALL)
    rollup.touched([BASE])
    assert rollup.run_once() == 1
    assert edges(store, rollup) == {"web|client->web|", "web|->pay|remote"}
    insert(store, "pay", CALLEE)
    rollup.touched([BASE + 90])
    right = {"web|client->web|", "web|->pay|"}
    assert rollup.dirty(BASE, BASE + 120).minutes == [BASE, BASE + MINUTE]
    assert edges(store, rollup) == right
    assert rollup.run_once() == 2
    assert rollup.dirty(BASE, BASE + 120).minutes == []
    assert edges(store, rollup) == right
    store.engine.command("OPTIMIZE TABLE nodes_1m FINAL")
    store.engine.command("OPTIMIZE TABLE edges_1m FINAL")
    assert edges(store, rollup) == right


def test_a_minute_without_rows_is_empty_afterwards(store: Store) -> None:
    rollup = Rollup(store.engine)
    insert(store, "web", ENTRY)
    rollup.touched([BASE])
    rollup.run_once()
    store.engine.command("TRUNCATE TABLE segments")
    rollup.touched([BASE])
    rollup.run_once()
    assert edges(store, rollup) == set()


def test_a_new_process_finds_what_was_not_rolled_up(store: Store) -> None:
    insert(store, "web", ENTRY, CALL)
    first = Rollup(store.engine)
    assert first.run_once() == 1
    insert(store, "pay", CALLEE)
    second = Rollup(store.engine)
    assert edges(store, second) == {"web|client->web|", "web|->pay|"}
    assert second.run_once() == 2
    assert edges(store, second) == {"web|client->web|", "web|->pay|"}


def test_what_arrives_during_a_run_stays_dirty(store: Store) -> None:
    rollup = Rollup(store.engine)
    insert(store, "web", ENTRY)
    rollup.touched([BASE])
    inner = rollup._replace

    def replace(minutes: list[int], version: int) -> None:
        inner(minutes, version)
        insert(store, "web", CALL)
        thread = threading.Thread(target=rollup.touched, args=([BASE],))
        thread.start()
        thread.join(10)

    rollup._replace = replace  # type: ignore[method-assign]
    rollup.run_once()
    assert rollup.dirty(BASE, BASE + MINUTE).minutes == [BASE]
    assert "web|->pay|remote" in edges(store, rollup)


def test_a_failed_run_leaves_everything_dirty(store: Store) -> None:
    rollup = Rollup(store.engine)
    insert(store, "web", ENTRY)
    rollup.touched([BASE])
    rollup.run_once()
    insert(store, "web", CALL)
    rollup.touched([BASE])
    inner = rollup._replace

    def fail(minutes: list[int], version: int) -> None:
        raise OSError

    rollup._replace = fail  # type: ignore[method-assign]
    with contextlib.suppress(OSError):
        rollup.run_once()
    rollup._replace = inner  # type: ignore[method-assign]
    assert rollup.dirty(BASE, BASE + MINUTE).minutes == [BASE]


def test_one_late_row_does_not_join_minutes_that_are_days_apart(store: Store) -> None:
    rollup = Rollup(store.engine)
    old = Segment(b"o" * 16, 1, 0, "old", at(-3 * 86_400), at(-3 * 86_400) + 1, Kind.SERVER)
    insert(store, "web", ENTRY, old)
    rollup.touched([BASE, BASE - 3 * 86_400])
    assert rollup.run_once() == 2
    found = service_graph(store.engine, rollup.dirty, BASE - 4 * 86_400, BASE + 60)
    assert {node.name: node.total for node in found.nodes if node.total} == {"web": 1, "old": 1}


def test_what_a_missing_piece_would_deny_is_not_drawn_yet(store: Store) -> None:
    rollup = Rollup(store.engine, settle_s=3600)
    insert(store, "web", CALL)
    insert(store, "pay", CALLEE)
    rollup.touched([BASE])
    assert edges(store, rollup) == {"web|->pay|"}
    orphan = Segment(b"u" * 16, 5, 4, "pay", at(1), at(2), Kind.SERVER)
    unanswered = Segment(b"v" * 16, 7, 6, "slow", at(1), at(2), Kind.CLIENT, True, "remote")
    insert(store, "pay", orphan)
    insert(store, "web", unanswered)
    assert edges(store, rollup) == {"web|->pay|"}
    assert rollup.run_once() == 0
    settled = Rollup(store.engine)
    settled.touched([BASE])
    assert edges(store, settled) == {"web|->pay|", "pay|client->pay|", "web|->slow|remote"}


class Counting:
    """An engine that counts the statements it runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.queries = 0

    def query(
        self, sql: str, params: Mapping[str, Any] | None = None, settings: Mapping[str, float] | None = None
    ) -> dict[str, list[Any]]:
        self.queries += 1
        return self._engine.query(sql, params, settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def test_the_same_question_costs_nothing_until_something_is_committed(store: Store) -> None:
    engine = Counting(store.engine)
    rollup = Rollup(engine)

    def names() -> set[str]:
        return {edge.id for edge in service_graph(engine, rollup.dirty, BASE - 3600, BASE + 3600).edges}

    insert(store, "web", ENTRY)
    rollup.touched([BASE])
    assert names() == {"web|client->web|"}
    asked = engine.queries
    assert names() == {"web|client->web|"}
    assert engine.queries == asked
    insert(store, "web", CALL)
    rollup.touched([BASE])
    assert names() == {"web|client->web|", "web|->pay|remote"}
    assert engine.queries > asked
    rollup.run_once()
    assert names() == {"web|client->web|", "web|->pay|remote"}


def test_rows_that_became_settled_are_looked_at_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing new came in, and yet the answer changes: what would have denied the client has not arrived."""
    clock, wall = time.monotonic(), time.time_ns()
    rollup = Rollup(store.engine, settle_s=60)
    insert(store, "web", ENTRY)
    rollup.touched([BASE])
    assert edges(store, rollup) == set()
    monkeypatch.setattr(time, "monotonic", lambda: clock + 61)
    monkeypatch.setattr(time, "time_ns", lambda: wall + 61 * SECOND)
    assert edges(store, rollup) == {"web|client->web|"}


def test_a_question_computes_no_more_than_it_may(store: Store) -> None:
    """Of three dirty minutes with two rows each, the newest ones that fit are live; the oldest answers as of the last run."""
    rollup = Rollup(store.engine, live_rows=4)
    for minute in range(3):
        insert(store, "web", *(entry(bytes([65 + minute]) * 16, minute * 60)))
    rollup.touched([BASE, BASE + 60, BASE + 120])
    assert rollup.dirty(BASE, BASE + 180).minutes == [BASE + 60, BASE + 120]
    assert rollup.dirty(BASE, BASE + 60).minutes == [BASE]
    assert rollup.run_once() == 3
    rollup.touched([BASE, BASE + 60, BASE + 120])
    graph = service_graph(store.engine, rollup.dirty, BASE, BASE + 180)
    assert {node.name: node.total for node in graph.nodes if node.total} == {"web": 3, "pay": 3}


def entry(trace_id: bytes, second: int) -> tuple[Segment, Segment]:
    return (
        Segment(trace_id, 1, 0, "web", at(second), at(second + 1), Kind.SERVER),
        Segment(trace_id, 2, 1, "pay", at(second), at(second + 1), Kind.CLIENT, True, "remote"),
    )
