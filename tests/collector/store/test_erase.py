"""Traces that are deleted and annotations that are redacted: gone from the rows, from the map, from what a search finds."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.segments import RESOURCE, START, full_segment
from fluoro.model import Kind, Segment
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.erase import delete_traces, redact
from fluoro_collector.store.segments import READ_COLUMNS, from_columns
from fluoro_collector.store.store import Store

HOUR = 3600 * 10**9


def request(number: int, start: int = START, **fields: Any) -> Segment:
    """A request of `shop`, alone in its trace."""
    values: dict[str, Any] = {
        "id": number,
        "trace_id": number.to_bytes(16, "big"),
        "parent_id": 0,
        "name": "shop",
        "start": start,
        "end": start + 1000,
        "kind": Kind.SERVER,
        "subsegment": False,
        "namespace": "",
        "aws": None,
        "sql": None,
    }
    return full_segment(**{**values, **fields})


def segments(engine: Engine) -> dict[int, Segment]:
    rows = from_columns(engine.query(f"SELECT {READ_COLUMNS} FROM segments ORDER BY id"))
    return {row.segment.id: row.segment for row in rows}


def requests_on_the_map(engine: Engine) -> int:
    sql = "SELECT sum(total) AS total FROM nodes_1m WHERE name = 'shop' AND (minute, version) IN (SELECT minute, max(version) FROM nodes_1m GROUP BY minute)"
    return int(engine.query(sql)["total"][0])


def test_a_deleted_trace_is_in_no_table_and_not_on_the_map(store: Store) -> None:
    engine = store.engine
    found = [request(1), request(2), request(2, START + HOUR, id=20), request(3)]
    store.insert([(RESOURCE, found)])
    rollup = Rollup(engine)
    rollup.touched({segment.start // 10**9 for segment in found})
    rollup.run_once()
    assert requests_on_the_map(engine) == 4
    erased = delete_traces(engine, [(2).to_bytes(16, "big"), (77).to_bytes(16, "big")])
    assert (erased.rows, erased.traces) == (2, [(2).to_bytes(16, "big")])
    again = Rollup(engine)
    again.touched(erased.minutes)
    again.run_once()
    assert sorted(segments(engine)) == [1, 3]
    assert requests_on_the_map(engine) == 2
    assert engine.query(
        "SELECT count() AS n FROM traces WHERE trace_id = toFixedString(unhex(leftPad('2', 32, '0')), 16)"
    ) == {"n": [0]}
    assert delete_traces(engine, [(2).to_bytes(16, "big")]).rows == 0


def test_a_redacted_annotation_is_gone_and_everything_else_is_as_before(store: Store) -> None:
    before = [
        request(1),  # with every awkward annotation
        request(2, annotations={"whole": "text"}),
        request(3, annotations={"other": 1}),
        request(4, annotations=None),
        request(5, annotations={"whole": 7.5, "<&'\"\\\n": "é"}),
    ]
    store.insert([(RESOURCE, before)])
    assert redact(store.engine, "whole") == 3
    after = segments(store.engine)
    for segment in before:
        expected = {key: value for key, value in (segment.annotations or {}).items() if key != "whole"}
        assert (after[segment.id].annotations or {}) == expected
        after[segment.id].annotations = segment.annotations
        assert after[segment.id] == segment
    assert redact(store.engine, "whole") == 0


@pytest.mark.parametrize(
    ("value", "changed"),
    [("x'\\", [1]), ("5", [2, 3]), ("5.0", [3]), ("true", [4, 5]), ("9223372036854775809", [6]), ("none", [])],
)
def test_only_the_rows_with_a_value(embedded_store: Store, value: str, changed: list[int]) -> None:
    values: list[Any] = ["x'\\", 5, 5.0, True, "true", (1 << 63) + 1, "other"]
    rows = [request(number, annotations={"k": each, "kept": 1}) for number, each in enumerate(values, 1)]
    embedded_store.insert([(RESOURCE, rows)])
    assert redact(embedded_store.engine, "k", value=value, replacement="[removed]") == len(changed)
    found = segments(embedded_store.engine)
    assert [id_ for id_, segment in found.items() if (segment.annotations or {})["k"] == "[removed]"] == changed
    assert all((segment.annotations or {})["kept"] == 1 for segment in found.values())


def test_a_value_that_was_taken_out_stays_in_no_list_of_the_engine(embedded_store: Store) -> None:
    embedded_store.insert([(RESOURCE, [request(1, annotations={"mail": "alice@example.com"})])])
    assert redact(embedded_store.engine, "mail", value="alice@example.com", replacement="hidden") == 1
    commands = embedded_store.engine.query("SELECT command FROM system.mutations")["command"]
    assert commands
    assert not any("alice" in command for command in commands)


def test_the_replacement_is_found_by_the_index_and_the_value_is_not(embedded_store: Store) -> None:
    embedded_store.insert([(RESOURCE, [request(1, annotations={"mail": "alice"})])])
    redact(embedded_store.engine, "mail", replacement="hidden")
    sql = "SELECT count() AS n FROM segments WHERE has(items, {item:String})"
    assert embedded_store.engine.query(sql, {"item": "mail=hidden"}) == {"n": [1]}
    assert embedded_store.engine.query(sql, {"item": "mail=alice"}) == {"n": [0]}


def test_a_range_bounds_a_redaction(embedded_store: Store) -> None:
    rows = [request(number, START + number * HOUR, annotations={"k": "v"}) for number in range(3)]
    embedded_store.insert([(RESOURCE, rows)])
    assert redact(embedded_store.engine, "k", first_ns=START + HOUR, last_ns=START + 2 * HOUR) == 1
    assert [bool(segment.annotations) for segment in segments(embedded_store.engine).values()] == [True, False, True]


def test_completions_forget_what_was_redacted(embedded_store: Store) -> None:
    engine = embedded_store.engine
    hour = START // 10**9 // 3600 * 3600
    columns: dict[str, tuple[str, list[Any]]] = {
        "hour": ("DateTime('UTC')", [hour, hour, hour]),
        "key": ("LowCardinality(String)", ["annotation.k", "annotation.k", "annotation.other"]),
        "value": ("String", ["a", "b", "a"]),
        "version": ("UInt64", [1, 1, 1]),
    }
    engine.insert("completions_1h", columns)
    redact(engine, "k", value="a")
    left = engine.query("SELECT key, value FROM completions_1h ORDER BY key, value")
    assert left == {"key": ["annotation.k", "annotation.other"], "value": ["b", "a"]}
    redact(engine, "k")
    assert engine.query("SELECT key FROM completions_1h") == {"key": ["annotation.other"]}
