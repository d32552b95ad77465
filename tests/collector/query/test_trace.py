from __future__ import annotations

from fluoro.model import Resource, Segment
from fluoro_collector.query.trace import place, rows, trace
from fluoro_collector.store.segments import Row
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND

WEB = Resource(service_name="web", host="h1")


def segment(id_: int, parent: int, second: float, *, trace_id: bytes = b"", **fields: object) -> Segment:
    at = BASE * SECOND + round(second * SECOND)
    name = str(fields.pop("name", "web"))
    made = trace_id or BASE.to_bytes(4, "big") + b"t" * 12
    return Segment(made, id_, parent, name, at, at + SECOND, **fields)  # type: ignore[arg-type]


def shape(found: list[Segment]) -> list[tuple[int, int, int]]:
    placed = place([Row(each, 0, "", "", "", 0) for each in found])
    return [(each.row.segment.id, each.parent, each.depth) for each in placed]


def test_children_follow_their_parent_by_start() -> None:
    found = [segment(1, 0, 0), segment(4, 2, 3), segment(3, 1, 2), segment(2, 1, 1)]
    assert shape(found) == [(1, -1, 0), (2, 0, 1), (4, 1, 2), (3, 0, 1)]


def test_orphans_are_roots() -> None:
    assert shape([segment(1, 0, 5), segment(2, 99, 0), segment(3, 2, 1)]) == [(2, -1, 0), (3, 0, 1), (1, -1, 0)]


def test_a_cycle_begins_at_its_earliest_member() -> None:
    found = [segment(1, 3, 1), segment(2, 1, 2), segment(3, 2, 3), segment(4, 4, 9)]
    assert sorted(each[0] for each in shape(found)) == [1, 2, 3, 4]
    assert shape(found)[:2] == [(4, -1, 0), (1, -1, 0)]


def test_a_deep_chain_is_no_recursion() -> None:
    found = [segment(number, number - 1, number / 1000) for number in range(1, 20_001)]
    assert shape(found)[-1] == (20_000, 19_998, 19_999)


def test_a_finished_row_replaces_the_unfinished_one(store: Store) -> None:
    unfinished = segment(1, 0, 0, in_progress=True)
    unfinished.end = 0
    finished = segment(1, 0, 0, fault=True)
    for each in (finished, unfinished, finished):
        store.insert([(WEB, [each])])
    found = trace(store.engine, finished.trace_id)
    assert found is not None
    assert [(each.in_progress, each.outcome, each.duration) for each in found.segments] == [(False, "fault", 1.0)]
    assert found.partial is False
    assert found.segments[0].resource == {"service_name": "web", "host": "h1"}


def test_a_trace_is_found_wherever_its_rows_are(store: Store) -> None:
    """The hour in the id is a hint: a W3C id says nothing, and a long trace goes on for hours."""
    random_id = bytes(range(200, 216))
    store.insert([(WEB, [segment(1, 0, 0, trace_id=random_id), segment(2, 1, 3 * 3600, trace_id=random_id)])])
    store.insert([(WEB, [segment(1, 0, 3500), segment(2, 1, 3600 * 1.5), segment(3, 2, 3600 * 5)])])
    assert len(rows(store.engine, random_id)) == 2
    assert len(rows(store.engine, BASE.to_bytes(4, "big") + b"t" * 12)) == 3
    assert rows(store.engine, b"\0" * 16) == []
