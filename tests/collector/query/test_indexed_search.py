"""Searches for what an index answers, over days and page by page."""

from __future__ import annotations

import pytest

from fluoro.model import Kind, Resource, Segment
from fluoro_collector.query.graph.graph_minutes import ALL_SETTLED, Live
from fluoro_collector.query.search import indexed
from fluoro_collector.query.search.cursor import Position
from fluoro_collector.query.search.search import count, search
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND

START = float(BASE)
NUMBERS = range(1, 16)


def begins(number: int) -> int:
    """Seconds after BASE: number 1 is the newest, the oldest began almost three days before; in four minutes."""
    return 3 * 86_400 - 1 - number // 4 * 80_000 - number


def trace_of(number: int) -> list[Segment]:
    """Two of three say "often". The call of number 6 says 7, most of an hour later."""
    at = (BASE + begins(number)) * SECOND
    trace_id = number.to_bytes(16, "big")
    says: dict[str, str | int | float | bool] = {"order": "often" if number % 3 else "sometimes"}
    root = Segment(
        trace_id, 1, 0, "web", at, at + SECOND, Kind.SERVER, operation="GET /", fault=bool(number % 2), annotations=says
    )
    call = Segment(trace_id, 2, 1, "pay", at + 1000, at + SECOND, Kind.CLIENT, True, "remote")
    if number == 6:
        call = Segment(trace_id, 2, 1, "pay", at + 3000 * SECOND, at + 3001 * SECOND, Kind.CLIENT, True, "remote")
        call.annotations = {"callee": 7}
    return [root, call]


def numbers(found: list[Position]) -> list[int]:
    return [int.from_bytes(position.trace_id, "big") for position in found]


@pytest.fixture(scope="module")
def days(opened: Store) -> tuple[Store, Rollup]:
    opened.insert([(Resource(service_name="web"), [each for number in NUMBERS for each in trace_of(number)])])
    rollup = Rollup(opened.engine)
    rollup.run_once()
    return opened, rollup


@pytest.mark.parametrize(("most", "rolled"), [(3, True), (10_000, False)])
def test_what_an_index_lists_is_what_slices_of_time_find(
    days: tuple[Store, Rollup], monkeypatch: pytest.MonkeyPatch, most: int, *, rolled: bool
) -> None:
    """Whether there are too many of an annotation to list them, in some slices or in all, or not."""
    monkeypatch.setattr(indexed, "MOST", most)
    engine = days[0].engine
    minutes = sorted({(BASE + begins(number)) // 60 * 60 for number in NUMBERS})

    def all_dirty(first: int, last: int) -> Live:
        return Live([minute for minute in minutes if first <= minute < last], ALL_SETTLED)

    dirty = days[1].dirty if rolled else all_dirty
    window = (START, START + 3 * 86_400)
    for text, expected in (
        ('annotation.order = "often"', [number for number in NUMBERS if number % 3]),
        ('annotation.order = "often" AND fault', [number for number in NUMBERS if number % 3 and number % 2]),
        ('annotation.order = "often" OR annotation.callee = 7', [n for n in NUMBERS if n % 3 or n == 6]),
        ("annotation.callee = 7", [6]),
        ("annotation.callee = 8", []),
    ):
        wanted = sorted(expected)
        seen: list[int] = []
        cursor: Position | None = None
        while True:
            page, cursor = search(engine, dirty, *window, text, 4, cursor)
            seen += numbers(page)
            if cursor is None:
                break
        assert seen == wanted, text
        assert count(engine, dirty, *window, text) == len(wanted)
        by_activity, _ = search(engine, dirty, *window, text, by="active")
        assert numbers(by_activity) == wanted
