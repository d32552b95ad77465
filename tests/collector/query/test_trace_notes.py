"""What is remarkable about a trace: hand-made ones, random ones, and shapes made to cost time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro.model import Kind, Resource, Segment
from fluoro_collector.query.trace.clock_skew import TOLERANCE, clock_offsets
from fluoro_collector.query.trace.critical_path import critical_path
from fluoro_collector.query.trace.notes import Notes, clock_skews, notes
from fluoro_collector.query.trace.reading import Outline
from fluoro_collector.query.trace.trace import Trace, trace
from fluoro_collector.query.trace.tree import depth_first
from fluoro_collector.store.store import Store
from fluoro_dashboard.critical_path import critical_path as path_of_dashboard
from query_store import BASE, SECOND

MS = 1_000_000
TRACE = BASE.to_bytes(4, "big") + b"n" * 12


def stored(store: Store, *rows: tuple[Resource, Segment]) -> tuple[Trace, Notes]:
    store.insert([(resource, [segment]) for resource, segment in rows])
    found = trace(store.engine, TRACE)
    assert found is not None
    assert found.notes is not None
    return found, found.notes


def segment(id_: int, parent: int, begin: int, end: int, name: str = "web", **fields: Any) -> Segment:
    """Milliseconds; `end` 0 is in progress."""
    at = BASE * SECOND
    fields = {"kind": Kind.SERVER, "in_progress": not end, **fields}
    return Segment(TRACE, id_, parent, name, at + begin * MS, at + end * MS if end else 0, **fields)


def call(id_: int, parent: int, begin: int, end: int, name: str = "pay", **fields: Any) -> Segment:
    fields = {"kind": Kind.CLIENT, "namespace": "remote", **fields}
    return segment(id_, parent, begin, end, name, subsegment=True, **fields)


def on(service: str, host: str = "") -> Resource:
    return Resource(service_name=service, host=host)


def test_what_is_missing_is_named(store: Store) -> None:
    web = on("web")
    _, noted = stored(
        store,
        (web, segment(1, 77, 0, 100)),
        (web, call(2, 1, 10, 20, traced=True)),
        (web, call(3, 1, 30, 40, traced=True)),
        (on("pay"), segment(4, 3, 31, 39, "pay")),
        (web, call(5, 1, 50, 0)),
        (web, call(6, 88, 60, 70)),
    )
    missing = noted.incomplete
    assert missing.in_progress == [4]
    assert [(each.segment, each.parent) for each in missing.orphans] == [(0, f"{77:016x}"), (5, f"{88:016x}")]
    assert missing.unanswered == [1]
    assert missing.no_root is True


def test_a_complete_trace_misses_nothing(store: Store) -> None:
    found, noted = stored(store, (on("web"), segment(1, 0, 0, 100)), (on("web"), call(2, 1, 10, 20)))
    assert (found.partial, found.truncated) == (False, False)
    assert noted.incomplete.no_root is False
    assert (noted.incomplete.in_progress, noted.incomplete.orphans, noted.incomplete.unanswered) == ([], [], [])
    assert (noted.clock_skew, noted.repeated) == ([], [])


def test_a_clock_that_is_behind_is_corrected(store: Store) -> None:
    """The callee's host is 500 ms behind: its work seems to begin before it was asked for."""
    found, noted = stored(
        store,
        (on("web", "h1"), segment(1, 0, 0, 1000)),
        (on("web", "h1"), call(2, 1, 100, 300)),
        (on("pay", "h2"), segment(3, 2, -350, -250, "pay")),
        (on("pay", "h2"), segment(4, 3, -340, -300, "step", subsegment=True, kind=Kind.INTERNAL)),
    )
    by_id = {int(each.id, 16): each for each in found.segments}
    assert [round(by_id[id_].skew, 3) for id_ in (1, 2, 3, 4)] == [0, 0, 0.5, 0.5]
    assert by_id[3].start == 0.0  # as it was sent: the trace seems to begin there
    assert [(each.host, each.service, each.seconds, each.segments) for each in noted.clock_skew] == [
        ("h2", "pay", 0.5, 2)
    ]


def test_services_on_one_host_share_its_clock(store: Store) -> None:
    _, noted = stored(
        store, (on("web", "h1"), segment(1, 0, 100, 200)), (on("pay", "h1"), segment(2, 1, 50, 150, "pay"))
    )
    assert noted.clock_skew == []


def test_without_a_host_a_service_has_a_clock(store: Store) -> None:
    _, noted = stored(store, (on("web"), segment(1, 0, 100, 300)), (on("pay"), segment(2, 1, 50, 150, "pay")))
    assert [(each.host, each.service, each.seconds) for each in noted.clock_skew] == [("", "pay", 0.1)]


def offsets(*rows: tuple[int, int, int, str], asynchronous: bool = False) -> dict[Any, int]:
    """(parent, begin, end, clock) in ms."""
    parents, starts, ends, clocks = zip(*rows, strict=True)
    found = clock_offsets(
        parents,
        [each * MS for each in starts],
        [each * MS for each in ends],
        [not asynchronous] * len(rows),
        clocks,
    )
    return {clock: offset // MS for clock, offset in found.items()}


def test_all_calls_together_bound_an_offset() -> None:
    """The first call allows 20 to 100 ms, the second 60 to 200."""
    rows = [(-1, 0, 1000, "a"), (0, 120, 220, "a"), (1, 100, 120, "b"), (0, 460, 620, "a"), (3, 400, 420, "b")]
    assert offsets(*rows) == {"b": 80}


def test_offsets_add_up_along_the_calls() -> None:
    assert offsets((-1, 0, 100, "a"), (0, -50, 50, "b"), (1, -90, 10, "c")) == {"b": 50, "c": 90}


@pytest.mark.parametrize(
    "child",
    [
        (0, 10, 60, "b"),  # inside
        (0, 10, 400, "b"),  # longer than its parent: the caller gave up
        (0, 50, 0, "b"),  # in progress
    ],
)
def test_what_says_nothing_about_clocks(child: tuple[int, int, int, str]) -> None:
    assert offsets((-1, 0, 100, "a"), child) == {}


def test_a_caller_that_gave_up_does_not_hide_a_clock() -> None:
    rows = [(-1, 0, 1000, "a"), (0, 100, 200, "a"), (1, 110, 600, "b"), (0, 300, 400, "a"), (3, 250, 260, "b")]
    assert offsets(*rows) == {"b": 95}


def test_a_message_may_be_handled_later_but_not_earlier() -> None:
    assert offsets((-1, 0, 100, "a"), (0, 200, 210, "b"), asynchronous=True) == {}
    assert offsets((-1, 0, 100, "a"), (0, -30, -20, "b"), asynchronous=True) == {"b": 30}


def test_calls_that_contradict_each_other_are_no_clock() -> None:
    rows = [(-1, 0, 1000, "a"), (0, 100, 200, "a"), (1, 50, 60, "b"), (0, 300, 400, "a"), (3, 500, 510, "b")]
    assert offsets(*rows) == {}


@given(
    st.integers(-5_000, 5_000),
    st.lists(
        st.tuples(st.integers(0, 1000), st.integers(1, 500), st.integers(0, 200), st.integers(0, 200)), min_size=1
    ),
)
def test_a_correction_puts_work_back_into_its_call(skew: int, calls: list[tuple[int, int, int, int]]) -> None:
    """Whatever the offset of a host and the way there and back: after the correction every call holds its work."""
    parents, starts, ends, clocks = [-1], [0], [10_000], ["a"]
    for begin, work, there, back in calls:
        parents += [0, len(parents)]
        starts += [begin, begin + there - skew]
        ends += [begin + there + work + back, begin + there + work - skew]
        clocks += ["a", "b"]
    starts, ends = [each * MS for each in starts], [each * MS for each in ends]
    shift = clock_offsets(parents, starts, [each or 1 for each in ends], [True] * len(parents), clocks).get("b", 0)
    for index, parent in enumerate(parents):
        if clocks[index] == "b":
            assert starts[index] + shift >= starts[parent] - TOLERANCE
            assert ends[index] + shift <= ends[parent] + TOLERANCE + 1
    if shift:
        assert abs(shift) <= abs(skew * MS) + 200 * MS


times = st.tuples(st.integers(-1, 8), st.integers(0, 40), st.integers(0, 40))


@given(st.lists(times, min_size=1, max_size=12))
def test_the_critical_path_is_that_of_the_dashboard(rows: list[tuple[int, int, int]]) -> None:
    parents = [min(parent, index - 1) for index, (parent, _, _) in enumerate(rows)]
    starts, durations = [row[1] for row in rows], [row[2] for row in rows]
    ends = [start + duration for start, duration in zip(starts, durations, strict=True)]
    found = critical_path(parents, starts, ends)
    assert [found.get(index, []) for index in range(len(rows))] == path_of_dashboard(parents, starts, durations)
    root = max((index for index, parent in enumerate(parents) if parent < 0), key=lambda each: (ends[each], -each))
    assert sum(end - begin for steps in found.values() for begin, end in steps) == durations[root]


def test_where_the_time_goes(store: Store) -> None:
    _, noted = stored(
        store,
        (on("web"), segment(1, 0, 0, 100)),
        (on("web"), call(2, 1, 10, 60)),
        (on("pay"), segment(3, 2, 20, 50, "pay", fault=True)),
        (on("web"), call(4, 1, 30, 40, error=True, throttle=True)),
    )
    assert [(step.segment, round(step.seconds, 3)) for step in noted.critical_path] == [(0, 0.05), (1, 0.02), (2, 0.03)]
    assert noted.critical_path[0].intervals == [(0.0, 0.01), (0.06, 0.1)]
    totals = {each.service: each for each in noted.services}
    web, pay = totals["web"], totals["pay"]
    assert (web.segments, web.requests, web.calls, web.errors, web.throttles, web.faults) == (3, 1, 2, 1, 1, 0)
    assert (pay.segments, pay.requests, pay.calls, pay.faults) == (1, 1, 0, 1)
    assert (round(web.seconds, 3), round(web.critical, 3)) == (0.08, 0.07)
    assert (round(pay.seconds, 3), round(pay.critical, 3)) == (0.03, 0.03)


def test_siblings_that_do_the_same_are_counted(store: Store) -> None:
    queries = [
        (on("web"), call(number, 1, number * 10, number * 10 + 5, "db", operation="SELECT", fault=number == 3))
        for number in range(2, 9)
    ]
    others = [(on("web"), call(number, 1, 500, 510, "db", operation="INSERT")) for number in range(20, 24)]
    _, noted = stored(store, (on("web"), segment(1, 0, 0, 1000)), *queries, *others)
    [repeated] = noted.repeated
    assert (repeated.parent, repeated.first, repeated.count, repeated.failed) == (0, 1, 7, 1)
    assert (repeated.name, repeated.operation, repeated.service) == ("db", "SELECT", "web")
    assert (round(repeated.seconds, 3), round(repeated.longest, 3)) == (0.035, 0.005)


def made(rows: list[tuple[int, int, int, int]]) -> Outline:
    """(id, parent id, begin, duration), by begin."""
    tree = depth_first([row[0] for row in rows], [row[1] for row in rows])
    ids, parent_ids, starts, durations = ([rows[place][field] for place in tree.order] for field in range(4))
    none, empty = [0] * len(rows), [""] * len(rows)
    return Outline(
        *(TRACE, False, tree.parents, tree.depths, ids, parent_ids, starts, durations),
        *(none, none, [1] * len(rows), empty, [f"service {id_ % 3}" for id_ in ids], empty, empty, empty, empty),
        *(none, none, none, none, none),
    )


COUNT = 20_000
_SHAPES: dict[str, Callable[[int], tuple[int, int, int, int]]] = {
    "chain": lambda number: (number, number - 1, number, COUNT),
    "fan": lambda number: (number, 1 if number > 1 else 0, number, COUNT),
    "orphans": lambda number: (number, COUNT + number, number, COUNT),
    "cycle": lambda number: (number, number % COUNT + 1, number, COUNT),
    "comb": lambda number: (number, number - 1 if number % 2 else number - 2, number, COUNT),
}


@pytest.mark.parametrize("shape", list(_SHAPES))
def test_notes_cost_linear_time(shape: str) -> None:
    rows = [_SHAPES[shape](number) for number in range(1, COUNT + 1)]
    began = time.process_time()
    found = made(rows)
    noted = notes(found, clock_skews(found, {}), {})
    assert time.process_time() - began < 3  # about 0.2 s; what is quadratic takes minutes
    assert sum(total.segments for total in noted.services) == COUNT
