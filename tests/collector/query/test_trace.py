"""Reading a trace: its tree, whichever way it is read, and its pages."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro.model import Http, Resource, Segment
from fluoro_collector.query.trace import reading as trace_read
from fluoro_collector.query.trace.reading import outline
from fluoro_collector.query.trace.trace import rows, trace, trace_json
from fluoro_collector.query.trace.tree import depth_first
from fluoro_collector.store.segments import to_columns
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import delivered, random_traces

WEB = Resource(service_name="web", host="h1")


def segment(id_: int, parent: int, second: float, *, trace_id: bytes = b"", **fields: object) -> Segment:
    at = BASE * SECOND + round(second * SECOND)
    name = str(fields.pop("name", "web"))
    made = trace_id or BASE.to_bytes(4, "big") + b"t" * 12
    return Segment(made, id_, parent, name, at, at + SECOND, **fields)  # type: ignore[arg-type]


def shape(*rows: tuple[int, int]) -> list[tuple[int, int, int]]:
    """(id, parent's index, depth) of rows (id, parent id) that come by start."""
    tree = depth_first([id_ for id_, _ in rows], [parent for _, parent in rows])
    return [
        (rows[place][0], parent, depth)
        for place, parent, depth in zip(tree.order, tree.parents, tree.depths, strict=True)
    ]


def test_children_follow_their_parent_by_start() -> None:
    assert shape((1, 0), (2, 1), (3, 1), (4, 2)) == [(1, -1, 0), (2, 0, 1), (4, 1, 2), (3, 0, 1)]


def test_orphans_are_roots() -> None:
    assert shape((2, 99), (3, 2), (1, 0)) == [(2, -1, 0), (3, 0, 1), (1, -1, 0)]


def test_a_cycle_begins_at_its_earliest_member() -> None:
    assert shape((1, 3), (2, 1), (3, 2), (4, 4)) == [(4, -1, 0), (1, -1, 0), (2, 1, 1), (3, 2, 2)]


def test_a_deep_chain_is_no_recursion() -> None:
    assert shape(*((number, number - 1) for number in range(1, 20_001)))[-1] == (20_000, 19_998, 19_999)


@given(st.lists(st.tuples(st.integers(1, 15), st.integers(0, 15)), max_size=15, unique_by=lambda row: row[0]))
def test_every_row_is_placed_once_and_after_its_parent(given_rows: list[tuple[int, int]]) -> None:
    placed = shape(*given_rows)
    assert sorted(id_ for id_, _, _ in placed) == sorted(id_ for id_, _ in given_rows)
    wanted = dict(given_rows)
    for index, (id_, parent, depth) in enumerate(placed):
        assert -1 <= parent < index
        assert parent < 0 or (placed[parent][0] == wanted[id_] and placed[parent][2] == depth - 1)


@pytest.mark.parametrize("size", [1, 2000])
@pytest.mark.parametrize("order", [[0, 1, 0], [1, 0], [0, 1]])
def test_a_finished_row_replaces_the_unfinished_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, order: list[int], size: int
) -> None:
    """In whatever order they came, and however large the trace is."""
    unfinished = segment(1, 0, 0, in_progress=True)
    unfinished.end = 0
    finished = segment(1, 0, 0, fault=True)
    for place in order:
        store.insert([(WEB, [(finished, unfinished)[place]])])
    small_parts(monkeypatch, size)
    found = trace(store.engine, finished.trace_id)
    assert found is not None
    assert [(each.in_progress, each.outcome, each.duration) for each in found.segments] == [(False, "fault", 1.0)]
    assert found.partial is False
    assert found.segments[0].resource == {"service_name": "web", "host": "h1"}


def test_of_copies_the_last_received_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read at once or in parts."""
    for number, fault in enumerate([False, True, False, True]):
        columns = to_columns([(WEB, [segment(1, 0, 0, fault=fault)])], (BASE + number) * SECOND)
        store.engine.insert("segments", columns)
    for size in (2000, 1):
        monkeypatch.setattr(trace_read, "PART", size)
        assert [row.segment.fault for row in rows(store.engine, BASE.to_bytes(4, "big") + b"t" * 12)] == [True]


def test_a_trace_is_found_wherever_its_rows_are(store: Store) -> None:
    """The hour in the id is a hint: a W3C id says nothing, and a long trace goes on for hours."""
    random_id = bytes(range(200, 216))
    store.insert([(WEB, [segment(1, 0, 0, trace_id=random_id), segment(2, 1, 3 * 3600, trace_id=random_id)])])
    store.insert([(WEB, [segment(1, 0, 3500), segment(2, 1, 3600 * 1.5), segment(3, 2, 3600 * 5)])])
    assert len(rows(store.engine, random_id)) == 2
    assert len(rows(store.engine, BASE.to_bytes(4, "big") + b"t" * 12)) == 3
    assert rows(store.engine, b"\0" * 16) == []


def small_parts(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """As if traces of `size` segments were large."""
    monkeypatch.setattr(trace_read, "PART", size)


def whole(pieces: Iterator[bytes] | None) -> tuple[object, int]:
    """The decoded answer and the number of its pieces."""
    assert pieces is not None
    listed = list(pieces)
    return json.loads(b"".join(listed)), len(listed)


def test_a_large_trace_reads_as_a_small_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random, damaged traces, with copies and unfinished versions: one statement, or an outline and parts."""
    made = random_traces(11, BASE * SECOND, 6)
    for batch in delivered(made, random.Random(11)):
        store.insert([(resource, [each]) for resource, each in batch])
    ids = sorted({each.trace_id for _, each in made})
    small = [trace(store.engine, id_) for id_ in ids]
    small_parts(monkeypatch, 3)
    for id_, expected in zip(ids, small, strict=True):
        assert expected is not None
        assert trace(store.engine, id_) == expected
        streamed, pieces = whole(trace_json(store.engine, id_))
        assert streamed == json.loads(msgspec.json.encode(expected))
        assert pieces == -(-expected.count // 3)
        assert expected.count == sum(each.trace_id == id_ for _, each in made)


def test_pages_join_to_the_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.insert([(WEB, [segment(number, number // 2, number) for number in range(1, 24)])])
    trace_id = BASE.to_bytes(4, "big") + b"t" * 12
    full = trace(store.engine, trace_id)
    assert full is not None
    assert (full.next, full.count) == (None, 23)
    small_parts(monkeypatch, 4)
    after, seen = -1, []
    while True:
        page = trace(store.engine, trace_id, after, 10)
        assert page is not None
        assert (page.notes is None) == (after >= 0)
        assert (page.start, page.duration, page.count) == (full.start, full.duration, 23)
        seen += page.segments
        if page.next is None:
            break
        assert len(page.segments) == 10
        after = page.next
    assert seen == full.segments
    beyond = trace(store.engine, trace_id, 22, 10)
    assert beyond is not None
    assert (beyond.segments, beyond.next) == ([], None)
    assert whole(trace_json(store.engine, trace_id, 500))[0] == json.loads(
        msgspec.json.encode(msgspec.structs.replace(full, segments=[], notes=None))
    )


def test_what_is_left_out_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.insert([(WEB, [segment(number, number - 1, number) for number in range(1, 12)])])
    trace_id = BASE.to_bytes(4, "big") + b"t" * 12
    small_parts(monkeypatch, 3)
    monkeypatch.setattr(trace_read, "MAX_SEGMENTS", 10)
    found = trace(store.engine, trace_id)
    assert found is not None
    assert (found.truncated, [each.id for each in found.segments]) == (True, [f"{n:016x}" for n in range(1, 11)])
    monkeypatch.setattr(trace_read, "MAX_SEGMENTS", 11)
    whole_trace = trace(store.engine, trace_id)
    assert whole_trace is not None
    assert whole_trace.truncated is False


def test_a_row_that_is_deleted_meanwhile_keeps_its_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.insert(
        [(WEB, [segment(1, 0, 0), segment(2, 1, 1, fault=True, http=Http("GET")), segment(3, 2, 2, in_progress=True)])]
    )
    small_parts(monkeypatch, 2)
    found = outline(store.engine, BASE.to_bytes(4, "big") + b"t" * 12)
    assert found is not None
    monkeypatch.setattr(trace_read, "from_columns", lambda columns: [])  # noqa: ARG005 - nothing is read any more
    read = [row.segment for part in trace_read.parts(store.engine, found, range(3)) for row in part]
    assert [(each.id, each.parent_id, each.fault, each.in_progress) for each in read] == [
        (1, 0, False, False),
        (2, 1, True, False),
        (3, 2, False, True),
    ]
    assert read[1].http is None
