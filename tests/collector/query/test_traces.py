from __future__ import annotations

import random

import pytest

from fluoro.model import Http, Kind, Resource, Segment
from fluoro_collector.query.filter.compile import compile_filter
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.query.traces import CursorError, Position, count, parse_cursor, search, traces
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


def numbers(store: Store, filter_text: str = "") -> list[int]:
    found, cursor = search(store.engine, START, END, filter_text, 1000)
    assert cursor is None
    assert count(store.engine, START, END, filter_text) == len(found)
    return sorted(int.from_bytes(position.trace_id, "big") for position in found)


@pytest.fixture
def filled(store: Store) -> Store:
    rows = [
        *trace_of(1, 10, annotations={"order": "A-1", "items": 3, "gift": True}, user="bob"),
        *trace_of(2, 20, fault=True, http=Http("POST", "http://h/v1/cart", 500, user_agent="curl/8", client_ip="::1")),
        *trace_of(3, 5000, error=True, throttle=True, http=Http("GET", "http://h/", 429)),
        *trace_of(4, 5010, error=True, annotations={"order": "A-2", "items": 30.5, "gift": False}),
        *trace_of(5, 5020),
    ]
    answered = rows[-1]
    rows.append(Segment(answered.trace_id, 3, 2, "pay", answered.start, answered.end, Kind.SERVER, fault=True))
    unfinished = trace_of(6, 7000)
    unfinished[0].in_progress, unfinished[0].end = True, 0
    store.insert([(WEB, rows + unfinished)])
    store.insert([(WEB, rows)])  # everything twice
    return store


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("ok", [1, 5, 6]),
        ("!ok", [2, 3, 4]),
        ("fault", [2]),
        ("error", [3, 4]),
        ("error !throttle", [4]),
        ("throttle = true", [3]),
        ("throttle != true", [1, 2, 4, 5, 6]),
        ("partial", [6]),
        ("partial = false", [1, 2, 3, 4, 5]),
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
        ('service(id(name: "pay", type: "remote"))', [1, 2, 3, 4, 6]),
        ('service(id(name: "pay", type: ""))', [5]),
        ('!service(id(type: "remote"))', [5]),
        ("service() { fault }", [2, 5]),
        ('service("web") { root = true and fault = true }', [2]),
        ('service(id(type: "client"))', [1, 2, 3, 4, 5, 6]),
        ('fault OR (annotation.order = "A-2" AND error)', [2, 4]),
    ],
)
def test_a_filter_finds(filled: Store, text: str, expected: list[int]) -> None:
    assert numbers(filled, text) == expected


def test_pages_are_newest_first_and_stable_while_traces_arrive(store: Store) -> None:
    rng = random.Random(3)
    seconds = {number: rng.randrange(7000) for number in range(1, 41)}
    store.insert([(WEB, [each for number, second in seconds.items() for each in trace_of(number, second)])])
    seen: list[str] = []
    cursor: Position | None = None
    page = traces(store.engine, START, END, limit=7)
    while True:
        seen += [each.id for each in page.traces]
        assert page.count == 40  # of the first page: what arrives later is not on these pages
        if page.cursor is None:
            break
        store.insert([(WEB, trace_of(1000 + len(seen), 7100))])  # newer than every page that follows
        cursor = parse_cursor(page.cursor)
        page = traces(store.engine, START, END, limit=7, cursor=cursor)
    expected = sorted(seconds, key=lambda number: (seconds[number], number), reverse=True)
    assert seen == [f"1-{0:08x}-{number:024x}" for number in expected]


def test_every_page_counts_all_that_match(filled: Store) -> None:
    page = traces(filled.engine, START, END, "!ok", limit=2)
    assert (len(page.traces), page.count) == (2, 3)
    assert page.cursor is not None
    rest = traces(filled.engine, START, END, "!ok", limit=2, cursor=parse_cursor(page.cursor))
    assert (len(rest.traces), rest.count, rest.cursor) == (1, 3, None)
    uncounted = parse_cursor(page.cursor)._replace(matching=-1)
    assert traces(filled.engine, START, END, "!ok", limit=2, cursor=parse_cursor(str(uncounted))).count == 3


def test_a_count_holds_each_trace_that_began_in_the_range_once(store: Store) -> None:
    """A row of yesterday's trace does not count today, and a trace over midnight counts once."""
    midnight = 86_400 - (BASE % 86_400)
    rows = [*trace_of(1, midnight - 30), *trace_of(2, midnight + 30), *trace_of(3, 3 * 86_400)]
    rows[1].start = rows[1].end = rows[0].start + 60 * SECOND
    store.insert([(WEB, rows)])
    store.insert([(WEB, rows)])
    for text in ("", 'service("pay")'):
        assert count(store.engine, BASE, BASE + 4 * 86_400, text) == 3
        assert count(store.engine, BASE + midnight, BASE + 4 * 86_400, text) == 2
        assert count(store.engine, BASE, BASE + midnight, text) == 1


def test_a_trace_belongs_to_the_moment_it_began(store: Store) -> None:
    """A row inside the window does not make a trace of the window."""
    rows = trace_of(1, 100)
    rows[1].start = rows[0].start + 600 * SECOND
    rows[1].end = rows[1].start + SECOND
    store.insert([(WEB, rows)])
    assert search(store.engine, BASE + 300, END)[0] == []
    assert len(search(store.engine, START, BASE + 300, 'service("pay")')[0]) == 1


def test_the_best_prefilter_uses_the_bloom_index(filled: Store) -> None:
    """The form that an equality emits must be one that the index answers; otherwise a search reads everything."""
    compiled = compile_filter(parse('annotation.order = "A-1"'))
    columns = filled.engine.query(
        f"SELECT explain FROM (EXPLAIN indexes = 1 SELECT trace_id FROM segments WHERE {compiled.prefilter})",
        compiled.params,
    )
    assert any("items_bloom" in line for line in columns["explain"])


@pytest.mark.parametrize("text", ["", "x", "é", "A" * 33, "=" * 32, "_" * 32, "A" * 32 + "_" * 11])
def test_a_cursor_that_no_page_gave_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        parse_cursor(text)
