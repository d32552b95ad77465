"""Days, hours, minutes and live minutes together are what brute force computes, for any range, also after a crash."""

from __future__ import annotations

import itertools
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brute_graph import Expected
from brute_traces import expected_traces
from fluoro.model import Kind, Resource, Segment
from fluoro_collector.query.graph.graph_minutes import ALL_SETTLED, MINUTE, Dirty, Live
from fluoro_collector.query.graph.levels import DAY, DAYS, HOUR, HOURS, MINUTES, cover
from fluoro_collector.query.graph.service_graph import node_id, service_graph
from fluoro_collector.query.graph.time_series import series
from fluoro_collector.query.search.trace_rows import trace_rows_params, trace_rows_sql
from fluoro_collector.rollup import Rollup, job
from fluoro_collector.store.engine import Engine, StoreBusy
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import delivered, random_traces

START = BASE // DAY * DAY
SPREAD = 3 * DAY
Row = tuple[Resource, Segment]

pytestmark = pytest.mark.usefixtures("no_completions")


def counts(item: Any) -> list[int]:
    return [item.ok, item.error, item.throttle, item.fault]


def between(minutes: Mapping[tuple[int, Any], list[int]], first: int, last: int) -> dict[Any, list[int]]:
    sums: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for (minute, key), values in minutes.items():
        if first <= minute < last:
            sums[key] = [a + b for a, b in zip(sums[key], values, strict=True)]
    return sums


def check(engine: Engine, dirty: Dirty, first: int, last: int, expected: Expected) -> None:
    graph = service_graph(engine, dirty, first, last)
    nodes = {node.id: counts(node) for node in graph.nodes if node.total}
    assert nodes == {node_id(key): values for key, values in between(expected.minutes, first, last).items()}
    edges = {(edge.source, edge.target, edge.kind): counts(edge) for edge in graph.edges}
    wanted = between(expected.edge_minutes, first, last)
    assert edges == {(node_id(s), node_id(t), kind): values for (s, t, kind), values in wanted.items()}
    seen = [minute for minute, _ in (*expected.minutes, *expected.edge_minutes) if first <= minute < last]
    assert graph.since == min(seen, default=None)


def send(store: Store, rollup: Rollup, batch: Sequence[Row]) -> None:
    store.insert([(resource, [segment]) for resource, segment in batch])
    rollup.touched({segment.start // SECOND for _, segment in batch})


def clusters(seed: int) -> list[Row]:
    """Traces in three places of three days, one of them around midnight."""
    places = [2 * HOUR, DAY - 600, 2 * DAY + 23 * HOUR]
    found = [random_traces(seed + place, (START + place) * SECOND, 6, 1200) for place in places]
    return [row for rows in found for row in rows]


def a_range(rng: random.Random) -> tuple[int, int]:
    """Of any length, aligned or not."""
    size = rng.choice([MINUTE, HOUR, DAY])
    first = START + rng.randrange(-HOUR, SPREAD) // size * size
    return first, first + rng.randrange(MINUTE, SPREAD) // MINUTE * MINUTE


def test_any_range_of_any_delivery_is_that_of_brute_force(store: Store) -> None:
    rng = random.Random(1)
    rows = clusters(71)
    rng.shuffle(rows)
    cut = [0, len(rows) - 20, len(rows)]
    rollup = Rollup(store.engine)
    sent: list[Row] = []
    for step, (begin, end) in enumerate(itertools.pairwise(cut)):
        batch = [row for batch in delivered(rows[begin:end], rng) for row in batch]
        send(store, rollup, batch)
        sent += batch
        if step == 1:
            rollup = Rollup(store.engine)  # the process died; what is dirty must be found again
        expected = Expected(sent)
        if step == 1:  # mostly stored days and hours, some live minutes
            for _ in range(2):
                check(store.engine, rollup.dirty, *a_range(rng), expected)
        rollup.run_once()
        for _ in range(2):
            check(store.engine, rollup.dirty, *a_range(rng), expected)
    check(store.engine, rollup.dirty, START, START + SPREAD + DAY, expected)
    # The same from minutes only, times and histograms included.
    hours, days = range(START, START + SPREAD + DAY, HOUR), range(START, START + SPREAD + DAY, DAY)
    stored = service_graph(store.engine, rollup.dirty, START, START + SPREAD + DAY)
    assert stored == service_graph(
        store.engine,
        lambda _first, _last: Live([], ALL_SETTLED, stale_hours=hours, stale_days=days),
        *(days[0], days[-1] + DAY),
    )


class Failing:
    """An engine whose n-th insert fails: the process is gone in the middle of a run."""

    def __init__(self, engine: Engine, after: int) -> None:
        self._engine = engine
        self.left = after

    def insert(self, table: str, columns: Mapping[str, tuple[str, Sequence[Any]]], token: str = "") -> None:
        if not self.left:
            raise StoreBusy("gone")
        self.left -= 1
        self._engine.insert(table, columns, token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def a_call(number: int) -> tuple[list[Row], list[Row]]:
    """A request whose callee reports late and in another hour, which changes the hour of the request."""
    trace_id = bytes([number + 65]) * 16
    at = (START + 20 * HOUR - 30) * SECOND
    first = [
        Segment(trace_id, 1, 0, "web", at, at + SECOND, Kind.SERVER),
        Segment(trace_id, 2, 1, "pay", at, at + SECOND, Kind.CLIENT, True, "remote"),
    ]
    late = [Segment(trace_id, 3, 2, "pay", at + 60 * SECOND, at + 61 * SECOND, Kind.SERVER)]
    return [(Resource(service_name="web"), each) for each in first], [
        (Resource(service_name="pay"), each) for each in late
    ]


def test_a_run_that_breaks_off_anywhere_is_found_and_done_again(store: Store) -> None:
    """Whichever of its inserts is the last, a new process or the old one answers rightly and finishes the work."""
    sent: list[Row] = []
    late: list[Row] = []
    whole = (START, START + DAY)
    for after in itertools.count():
        engine = Failing(store.engine, after)
        rollup = Rollup(engine)
        early, next_late = a_call(after)
        send(store, rollup, early + late)
        sent += early + late
        late = next_late
        broken = True
        try:
            rollup.run_once()
            broken = False
        except StoreBusy:
            engine.left = 1_000
        follower = Rollup(store.engine) if after % 2 else rollup
        check(store.engine, follower.dirty, *whole, Expected(sent))
        follower.run_once()
        live = follower.dirty(*whole)
        assert live.minutes == []
        assert [level for level, _ in cover(*whole, live)] == [DAYS]
        check(store.engine, follower.dirty, *whole, Expected(sent))
        if not broken:
            break
    assert after == 7  # edges, nodes and traces of minutes; edges and nodes of hours and of days
    rows = store.engine.query(
        f"SELECT trace_id, segments FROM {trace_rows_sql(graph=False, live=False)}",
        trace_rows_params(*whole, follower.dirty(*whole)),
    )
    segments = {trace_id: row["segments"] for trace_id, row in expected_traces(sent).items()}
    assert dict(zip(rows["trace_id"], rows["segments"], strict=True)) == segments


@pytest.mark.parametrize("missing", ["nodes_1h", "nodes_1d"])
def test_hours_and_days_older_than_what_is_in_them_are_done_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """As a crash leaves them after the minutes, or a version that did not have them; the minutes need nothing."""
    monkeypatch.setattr(job, "MARGIN_MS", -3_600_000)
    monkeypatch.setattr(job, "RESTART_MARGIN_MS", 0)
    early, late = a_call(0)
    rollup = Rollup(store.engine)
    send(store, rollup, early + late)
    rollup.run_once()
    store.engine.command(f"TRUNCATE TABLE {missing}")
    rollup = Rollup(store.engine)
    whole = (START, START + DAY) if missing == "nodes_1d" else (START, START + 23 * HOUR)
    assert rollup.dirty(*whole).minutes == []
    check(store.engine, rollup.dirty, *whole, Expected(early + late))
    assert rollup.run_once() == 0
    assert len(cover(*whole, rollup.dirty(*whole))) == 1
    check(store.engine, rollup.dirty, *whole, Expected(early + late))


def test_hours_and_days_wait_and_are_not_read_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed again is added up after the interval; until then an answer is made of what is below."""
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    rollup = Rollup(store.engine, periods_every_s=300)
    early, late = a_call(0)
    whole = (START, START + DAY)

    def levels() -> list[Any]:
        return [level for level, _ in cover(*whole, rollup.dirty(*whole))]

    send(store, rollup, early)
    rollup.run_once()
    assert levels() == [DAYS]
    send(store, rollup, late)
    rollup.run_once()
    assert levels() == [HOURS, MINUTES]
    check(store.engine, rollup.dirty, *whole, Expected(early + late))
    clock += 299
    rollup.run_once()
    assert levels() == [HOURS, MINUTES]
    clock += 1
    assert rollup.run_once() == 0
    assert levels() == [DAYS]
    check(store.engine, rollup.dirty, *whole, Expected(early + late))


def test_an_hour_that_another_collector_is_still_filling_is_read_in_minutes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It adds the hour up at most every five minutes; who has not got its rows cannot know that it changed."""
    one, other = (Rollup(store.engine, periods_every_s=300) for _ in range(2))
    early, late = a_call(0)
    whole = (START, START + DAY)
    now = (START + 20 * HOUR + 90) * SECOND
    other.run_once()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    monkeypatch.setattr(time, "time", lambda: now / SECOND)
    for batch in (early, late):
        send(store, one, batch)
        one.run_once()
    check(store.engine, other.dirty, *whole, Expected(early + late))


def test_of_two_collectors_the_one_that_knows_more_wins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each replaces the same minute; the clock of the first is a minute ahead."""
    early, late = a_call(0)
    one, other = Rollup(store.engine), Rollup(store.engine)
    other.run_once()
    now = time.time_ns()
    send(store, one, early)
    monkeypatch.setattr(time, "time_ns", lambda: now + 60 * SECOND)
    one.run_once()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    send(store, other, late)
    other.run_once()
    for rollup in (one, other):
        check(store.engine, rollup.dirty, START, START + DAY, Expected(early + late))


def test_a_series_of_hours_is_read_from_hours(store: Store) -> None:
    rows = clusters(7)
    rollup = Rollup(store.engine)
    send(store, rollup, rows)
    rollup.run_once()
    expected = Expected(rows)
    last = START + SPREAD + DAY
    node = max(expected.minutes, key=lambda key: sum(expected.minutes[key]))[1]
    (source, target, kind) = max(expected.edge_minutes, key=lambda key: sum(expected.edge_minutes[key]))[1]
    for period in (HOUR, 6 * HOUR, DAY, 7 * MINUTE):
        found = series(store.engine, rollup.dirty, START, last, period, node)
        for moment, sums in found.items():
            wanted = between(expected.minutes, moment, moment + period).get(node, [0, 0, 0, 0])
            assert counts(sums) == wanted
    selections = [
        (source, target, kind),
        ((source[0], None), (target[0], None), ""),
        (source, ("", None), ""),
    ]
    for selected in selections:
        found = series(store.engine, rollup.dirty, START, last, DAY, edge=selected)
        for moment, sums in found.items():
            assert counts(sums) == [
                sum(
                    values[place]
                    for edge, values in between(expected.edge_minutes, moment, moment + DAY).items()
                    if fits(edge, selected)
                )
                for place in range(4)
            ]


def fits(edge: Any, selected: Any) -> bool:
    (source, target, kind), (wanted_source, wanted_target, wanted_kind) = edge, selected
    same = all(
        name in ("", key[0]) and of in (None, key[1])
        for key, (name, of) in ((source, wanted_source), (target, wanted_target))
    )
    return same and wanted_kind in ("", kind)


def test_a_series_by_name_alone_adds_up_every_type(store: Store) -> None:
    rows = random_traces(8, START * SECOND, 10, HOUR)
    rollup = Rollup(store.engine)
    send(store, rollup, rows)
    expected = Expected(rows)
    wanted = [
        sum(place)
        for place in zip(*(values for key, values in expected.nodes.items() if key[0] == "orders"), strict=True)
    ]
    for _ in range(2):  # live, then stored
        found = series(store.engine, rollup.dirty, START, START + DAY, DAY, ("orders", None))
        assert [counts(sums) for sums in found.values()] == [wanted]
        rollup.run_once()


minutes_of_a_week = st.integers(0, 7 * 1440).map(lambda number: START + number * MINUTE)


@given(
    minutes_of_a_week,
    minutes_of_a_week,
    st.lists(minutes_of_a_week, max_size=5),
    st.lists(minutes_of_a_week, max_size=3),
    st.lists(minutes_of_a_week, max_size=2),
    st.sampled_from([MINUTE, HOUR, DAY]),
)
def test_a_cover_has_each_clean_minute_once(
    one: int, other: int, dirty: list[int], hours: list[int], days: list[int], largest: int
) -> None:
    first, last = sorted((one, other))
    live = sorted({minute for minute in dirty if first <= minute < last})
    stale_hours = {hour // HOUR * HOUR for hour in hours}
    stale_days = {day // DAY * DAY for day in days}
    found = dict(cover(first, last, Live(live, ALL_SETTLED, stale_hours=stale_hours, stale_days=stale_days), largest))
    covered = [
        minute
        for level, periods in found.items()
        for begin in periods
        for minute in range(begin, begin + level.seconds, MINUTE)
    ]
    assert sorted([*covered, *live]) == list(range(first, last, MINUTE))
    assert not stale_hours & set(found.get(HOURS, ()))
    assert not stale_days & set(found.get(DAYS, ()))
    assert all(level.seconds <= largest for level in found)
    apart = len(live) + len(stale_hours) + len(stale_days)
    assert len(found.get(MINUTES, ())) <= (60 * (2 + apart) if largest > MINUTE else 7 * 1440)
