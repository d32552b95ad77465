from __future__ import annotations

import random

import pytest

from fluoro.model import Http, Kind, Resource, Segment
from fluoro_collector.query.filter.compile import compile_filter
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.query.search.cursor import CursorError, Position, parse_cursor
from fluoro_collector.query.search.search import By, count, search, search_rows
from fluoro_collector.query.search.summaries import traces
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND

START, END = float(BASE), float(BASE + 7200)
WEB = Resource(service_name="web")


def trace_of(number: int, second: float, **root: object) -> list[Segment]:
    """A request to web with a call to a host that sends nothing."""
    at = BASE * SECOND + round(second * SECOND)
    trace_id = number.to_bytes(16, "big")  # W3C: the id says nothing about the time
    fields: dict[str, object] = {"kind": Kind.SERVER, "operation": "GET /", **root}
    return [
        Segment(trace_id, 1, 0, "web", at, at + SECOND, **fields),  # type: ignore[arg-type]
        Segment(trace_id, 2, 1, "pay", at + 1000, at + SECOND // 2, Kind.CLIENT, True, "remote"),
    ]


def numbers(found: list[Position]) -> list[int]:
    return [int.from_bytes(position.trace_id, "big") for position in found]


@pytest.fixture(scope="module")
def filled(opened: Store) -> tuple[Store, Rollup]:
    """Rolled up; the tests of this fixture add nothing."""
    rows = [
        *trace_of(1, 10, annotations={"order": "A-1", "items": 3, "gift": True}, user="bob"),
        *trace_of(2, 20, fault=True, http=Http("POST", "http://h/v1/cart", 500, user_agent="curl/8", client_ip="::1")),
        *trace_of(3, 5000, error=True, throttle=True, http=Http("GET", "http://h/", 429)),
        *trace_of(4, 5010, error=True, annotations={"order": "A-2", "items": 30.5, "gift": False}),
        *trace_of(5, 5020),
    ]
    answered = rows[-1]
    answered.error = answered.throttle = True
    rows.append(Segment(answered.trace_id, 3, 2, "pay", answered.start, answered.end, Kind.SERVER, fault=True))
    unfinished = trace_of(6, 7000)
    unfinished[0].in_progress, unfinished[0].end = True, 0
    opened.insert([(WEB, rows + unfinished)])
    opened.insert([(WEB, rows)])  # everything twice
    rollup = Rollup(opened.engine)
    rollup.run_once()
    return opened, rollup


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("ok", [1, 5, 6]),
        ("!ok", [2, 3, 4]),
        ("fault", [2]),
        ("error", [3, 4]),
        ("error !throttle", [4]),
        ("throttle = true", [3, 5]),
        ("throttle != true", [1, 2, 4, 6]),
        ("partial", [6]),
        ("partial = false", [1, 2, 3, 4, 5]),
        ("responsetime", [1, 2, 3, 4, 5]),
        ("responsetime >= 1", [1, 2, 3, 4, 5]),
        ("duration > 1", []),
        ("duration <= 0.5", [6]),
        ("http.status", [2, 3]),
        ("http.status != 500", [3]),
        ("http.status > 428", [2, 3]),
        ('http.url BEGINSWITH "http://h/" AND http.url ENDSWITH "cart"', [2]),
        ('http.method = "POST" AND http.useragent CONTAINS "curl" AND http.clientip = "::1"', [2]),
        ('http.method != "POST"', [3]),
        ("user", [1]),
        ('user CONTAINS ""', [1]),
        ('annotation.order = "A-1"', [1]),
        ('annotation.order != "A-1"', [4]),
        ('annotation.order BEGINSWITH "A-"', [1, 4]),
        ("annotation.items = 30.5", [4]),
        ("annotation.items >= 3", [1, 4]),
        ("annotation.gift = true", [1]),
        ("annotation.gift != true", [4]),
        ("annotation.order", [1, 4]),
        ("!annotation.items", [2, 3, 5, 6]),
        ('service("web")', [1, 2, 3, 4, 5, 6]),
        ('service("pay")', [1, 2, 3, 4, 5, 6]),
        ('service("pay") { fault }', [5]),
        ('service("pay") { inferred }', [1, 2, 3, 4, 6]),
        ('service(id(name: "pay", type: "remote"))', [1, 2, 3, 4, 6]),
        ('service(id(name: "pay", type: ""))', [5]),
        ('!service(id(type: "remote"))', [5]),
        ('service(id(type: "client"))', [1, 2, 3, 4, 5, 6]),
        ('service("pay") { last } AND service("web") { first AND !last }', [1, 2, 3, 4, 5, 6]),
        ("service() { index = 1 AND fault }", [5]),
        ('edge("web", "pay")', [1, 2, 3, 4, 5, 6]),
        ('edge("web", "pay") { fault }', []),  # the callee's fault is not the caller's
        ('edge(id(name: "web", type: "client"), "web") { fault }', [2]),
        ('fault OR (annotation.order = "A-2" AND error)', [2, 4]),
    ],
)
def test_a_filter_finds(filled: tuple[Store, Rollup], text: str, expected: list[int]) -> None:
    store, rollup = filled
    found, following = search(store.engine, rollup.dirty, START, END, text, 1000)
    assert following is None
    assert numbers(found) == expected[::-1]


def test_every_page_counts_all_that_match(filled: tuple[Store, Rollup]) -> None:
    engine, dirty = filled[0].engine, filled[1].dirty
    page = traces(engine, dirty, START, END, "!ok", limit=2)
    assert (len(page.traces), page.count) == (2, 3)
    assert page.cursor is not None
    rest = traces(engine, dirty, START, END, "!ok", limit=2, cursor=parse_cursor(page.cursor))
    assert (len(rest.traces), rest.count, rest.cursor) == (1, 3, None)
    uncounted = parse_cursor(page.cursor)._replace(matching=-1)
    assert traces(engine, dirty, START, END, "!ok", limit=2, cursor=parse_cursor(str(uncounted))).count == 3


def test_a_summary_is_the_row_of_its_trace(filled: tuple[Store, Rollup]) -> None:
    page = traces(filled[0].engine, filled[1].dirty, START, END)
    assert page.count == 6
    bob, last = page.traces[-1], page.traces[0]
    assert (bob.id, bob.start, bob.duration) == ("1-00000000-000000000000000000000001", START + 10, 1.0)
    assert (bob.service, bob.operation, bob.user, bob.services, bob.segments) == ("web", "GET /", "bob", ["web"], 2)
    assert (last.partial, last.response_time, last.duration, last.outcome) == (True, 0.0, 0.5, "ok")
    assert [each.outcome for each in page.traces] == ["ok", "ok", "error", "throttle", "fault", "ok"]
    assert page.traces[1].services == ["web", "pay"]
    assert [(each.status, each.method, each.url) for each in page.traces[3:5]] == [
        (429, "GET", "http://h/"),
        (500, "POST", "http://h/v1/cart"),
    ]


def test_rows_come_with_nodes_and_edges(filled: tuple[Store, Rollup]) -> None:
    rows, _ = search_rows(filled[0].engine, filled[1].dirty, START, END, "http.status = 429", graph=True)
    assert [row["trace_id"] for row in rows] == [(3).to_bytes(16, "big")]
    assert sorted(node[:2] for node in rows[0]["nodes"]) == [("pay", "remote"), ("web", "")]
    assert sorted(edge[:4] for edge in rows[0]["edges"]) == [("web", "", "pay", "remote"), ("web", "client", "web", "")]


def test_an_equality_of_an_annotation_is_answered_by_indexes(filled: tuple[Store, Rollup]) -> None:
    """Rows that say it are found by the bloom index, the rest of what is read of them by the primary key."""
    compiled = compile_filter(parse('annotation.order = "A-1"'))
    _, _, rows = compiled.condition.partition("trace_id IN (SELECT trace_id FROM (")
    rows, _, _ = rows.partition(" ORDER BY")
    _, _, items = rows.partition("(trace_id, id) IN (")
    params = {**compiled.params, "from": int(START * SECOND), "reach": int(END * SECOND)}
    for statement, index, keys in ((items[:-1], "items_bloom", "items"), (rows, "PrimaryKey", "trace_id")):
        # The cache of past conditions would answer for the index.
        plan = (
            f"EXPLAIN indexes = 1 {statement} SETTINGS use_query_condition_cache = 0, use_skip_indexes_on_data_read = 0"
        )
        explained = filled[0].engine.query(plan, params)
        lines = [line.strip() for line in explained["explain"]]
        assert any(index in line for line in lines), lines
        assert any(keys in line for line in lines[lines.index("PrimaryKey") :]), lines


def test_pages_are_newest_first_and_stable_while_traces_arrive(store: Store) -> None:
    rng = random.Random(3)
    seconds = {number: rng.randrange(7000) for number in range(1, 41)}
    store.insert([(WEB, [each for number, second in seconds.items() for each in trace_of(number, second)])])
    rollup = Rollup(store.engine)
    rollup.run_once()
    seen: list[str] = []
    cursor: Position | None = None
    page = traces(store.engine, rollup.dirty, START, END, limit=16)
    while True:
        seen += [each.id for each in page.traces]
        assert page.count == 40  # of the first page: what arrives later is not on these pages
        if page.cursor is None:
            break
        store.insert([(WEB, trace_of(1000 + len(seen), 7100))])  # newer than every page that follows
        rollup.touched([BASE + 7100])
        cursor = parse_cursor(page.cursor)
        page = traces(store.engine, rollup.dirty, START, END, limit=16, cursor=cursor)
    expected = sorted(seconds, key=lambda number: (seconds[number], number), reverse=True)
    assert seen == [f"1-{0:08x}-{number:024x}" for number in expected]


def test_a_count_holds_each_trace_that_began_in_the_range_once(store: Store) -> None:
    """A row of yesterday's trace does not count today, and a trace over midnight counts once."""
    midnight = 86_400 - (BASE % 86_400)
    rows = [*trace_of(1, midnight - 30), *trace_of(2, midnight + 30)]
    rows[1].start = rows[1].end = rows[0].start + 60 * SECOND
    store.insert([(WEB, rows)])
    store.insert([(WEB, rows)])
    rollup = Rollup(store.engine)

    def counted(first: int, last: int, text: str = "") -> int:
        return count(store.engine, rollup.dirty, BASE + first, BASE + last, text)

    assert counted(0, 2 * 86_400) == 2
    rollup.run_once()
    assert counted(0, 2 * 86_400) == 2
    assert counted(0, 2 * 86_400, "!annotation.none") == 2  # which reads segments, day by day
    assert counted(midnight, 2 * 86_400) == 1
    assert counted(0, midnight) == 1


def test_a_range_asks_for_the_start_the_activity_or_the_end(store: Store) -> None:
    """1 begins and ends before the window, 2 ends in it, 3 lies in it, 4 begins in it, 5 spans it, 6 is after it."""
    spans = {1: (0, 50), 2: (50, 150), 3: (120, 130), 4: (150, 400), 5: (20, 500), 6: (200, 210)}
    rows = []
    for number, (begin, until) in spans.items():
        segment = trace_of(number, begin)[0]
        segment.end = (BASE + until) * SECOND
        rows.append(segment)
    store.insert([(WEB, rows)])
    rollup = Rollup(store.engine)
    rollup.run_once()
    expected: dict[By, list[int]] = {"start": [4, 3], "active": [4, 3, 2, 5], "end": [3, 2]}
    for by, wanted in expected.items():
        engine, window = store.engine, (BASE + 100, BASE + 200)
        assert numbers(search(engine, rollup.dirty, *window, by=by)[0]) == wanted
        assert count(engine, rollup.dirty, *window, by=by) == len(wanted)
    first, cursor = search(store.engine, rollup.dirty, BASE + 100, BASE + 200, limit=3, by="active")
    rest, _ = search(store.engine, rollup.dirty, BASE + 100, BASE + 200, cursor=cursor, by="active")
    assert numbers(first + rest) == expected["active"]


def test_a_trace_belongs_to_the_moment_it_began(store: Store) -> None:
    """A row inside the window does not make a trace of the window."""
    rows = trace_of(1, 100)
    rows[1].start = rows[0].start + 600 * SECOND
    rows[1].end = rows[1].start + SECOND
    store.insert([(WEB, rows)])
    rollup = Rollup(store.engine)
    assert search(store.engine, rollup.dirty, BASE + 300, END)[0] == []
    assert len(search(store.engine, rollup.dirty, START, BASE + 300, 'service("pay") { remote }')[0]) == 1


@pytest.mark.parametrize("text", ["", "x", "é", "A" * 33, "=" * 32, "_" * 32, "A" * 32 + "_" * 11])
def test_a_cursor_that_no_page_gave_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        parse_cursor(text)
