"""The rows of `traces`, stored or live, are what brute force computes, whatever the delivery."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from brute_traces import expected_traces
from fluoro.model import Http, Kind, Resource, Segment
from fluoro_collector.query.graph.graph_minutes import ALL_SETTLED, Live
from fluoro_collector.query.search.trace_rows import trace_rows_params, trace_rows_sql
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import delivered, random_traces

FIRST, LAST = BASE - 600, BASE + 7200
Row = tuple[Resource, Segment]

pytestmark = pytest.mark.usefixtures("no_completions")
NAMES = ("a:b", "client", "0:1:", "ü 中", "3:sqs'\\\t\n", "x" * 200)


def found(store: Store, live: Live, *, ids: list[bytes] | None = None) -> dict[bytes, dict[str, Any]]:
    sql = f"SELECT * FROM {trace_rows_sql(graph=True, live=bool(live.minutes))}"
    columns = store.engine.query(sql, trace_rows_params(FIRST, LAST, live, ids or []))
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    result = {row["trace_id"]: row for row in rows}
    assert len(result) == len(rows), "a trace has two rows"
    for row in rows:
        for name in ("nodes", "edges"):
            assert len(set(row[name])) == len(row[name])
            row[name] = set(row[name])
    return result


def check(store: Store, live: Live, sent: list[Row]) -> None:
    expected = expected_traces(sent)
    actual = found(store, live)
    assert actual.keys() == expected.keys()
    for trace_id, row in expected.items():
        assert {name: actual[trace_id][name] for name in row} == row


def send(store: Store, rollup: Rollup, batch: list[Row]) -> None:
    store.insert([(resource, [segment]) for resource, segment in batch])
    rollup.touched({segment.start // SECOND for _, segment in batch})


def test_any_delivery_gives_the_rows_of_brute_force(store: Store) -> None:
    rng = random.Random(0)
    rows = [
        (resource, msgspec.structs.replace(segment, user=rng.choice(["", "", "ann", "bob"])))
        for resource, segment in random_traces(50, BASE * SECOND)
    ]
    batches = delivered(rows, rng)
    rollup = Rollup(store.engine)
    sent: list[Row] = []
    for place, batch in enumerate(batches):
        send(store, rollup, batch)
        sent += batch
        if place == len(batches) // 2:
            rollup.run_once()
            check(store, rollup.dirty(FIRST, LAST), sent)
    live = rollup.dirty(FIRST, LAST)
    assert live.minutes
    check(store, live, sent)
    rollup.run_once()
    assert rollup.dirty(FIRST, LAST).minutes == []
    check(store, rollup.dirty(FIRST, LAST), sent)
    one = min(expected_traces(sent))
    assert found(store, rollup.dirty(FIRST, LAST), ids=[one]).keys() == {one}
    stored = found(store, Live([], ALL_SETTLED))
    assert stored == found(store, Live(list(range(FIRST, LAST, 60)), ALL_SETTLED))


def test_a_trace_that_turns_out_to_begin_earlier_moves_to_its_minute(store: Store) -> None:
    trace_id = b"m" * 16
    late = Segment(trace_id, 2, 1, "pay", (BASE + 130) * SECOND, (BASE + 131) * SECOND, Kind.SERVER)
    root = Segment(trace_id, 1, 0, "web", BASE * SECOND, (BASE + 140) * SECOND, Kind.SERVER)
    rollup = Rollup(store.engine)
    send(store, rollup, [(Resource(), late)])
    rollup.run_once()
    assert found(store, rollup.dirty(FIRST, LAST))[trace_id]["minute"] == BASE + 120
    send(store, rollup, [(Resource(), root)])
    for _ in range(2):
        row = found(store, rollup.dirty(FIRST, LAST))[trace_id]
        assert (row["minute"], row["service"], row["segments"]) == (BASE, "web", 2)
        rollup.run_once()


def test_the_root_gives_what_a_list_shows(store: Store) -> None:
    root = Segment(
        b"r" * 16,
        1,
        0,
        "web",
        BASE * SECOND + 5,
        (BASE + 1) * SECOND,
        Kind.SERVER,
        operation="GET /a",
        origin="AWS::EC2::Instance",
        http=Http(method="GET", url="http://web/a", status=404, user_agent="curl", client_ip="10.0.0.9"),
        error=True,
    )
    rollup = Rollup(store.engine)
    send(store, rollup, [(Resource(service_name="web", environment="prod"), root)])
    live = found(store, rollup.dirty(FIRST, LAST))
    rollup.run_once()
    assert found(store, rollup.dirty(FIRST, LAST)) == live
    row = live[b"r" * 16]
    shown = ("operation", "http_method", "http_url", "http_status", "http_user_agent", "http_client_ip", "environment")
    assert [row[name] for name in shown] == ["GET /a", "GET", "http://web/a", 404, "curl", "10.0.0.9", "prod"]
    assert row["nodes"] == {("web", "AWS::EC2::Instance", 1 << 1)}
    assert row["edges"] == {("web", "client", "web", "AWS::EC2::Instance", 1 << 1)}


def test_any_name_is_a_node(store: Store) -> None:
    names = {bytes([place]) * 16: name for place, name in enumerate(NAMES, 65)}
    rows: list[Row] = []
    for place, (trace_id, name) in enumerate(names.items()):
        at = (BASE + 60 * place) * SECOND
        root = Segment(trace_id, 1, 0, name, at, at + 9, Kind.SERVER, origin=name)
        call = Segment(trace_id, 2, 1, name, at, at + 9, Kind.CLIENT, True, "remote")
        rows += [(Resource(), root), (Resource(), call)]
    rollup = Rollup(store.engine)
    send(store, rollup, rows)
    live = found(store, rollup.dirty(FIRST, LAST))
    rollup.run_once()
    assert found(store, rollup.dirty(FIRST, LAST)) == live
    for trace_id, name in names.items():
        assert live[trace_id]["nodes"] == {(name, name, 1), (name, "remote", 1)}
        assert live[trace_id]["edges"] == {(name, "client", name, name, 1), (name, name, name, "remote", 1)}
