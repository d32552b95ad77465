"""Search: matching traces of a time range, newest first, and their number; from the relation `traces` (`trace_rows.py`).

A search looks at ever larger slices of time, newest first, until the page is full: the newest traces cost what they are, a
rare match costs the range. A slice costs 20 ms of CPU before it reads anything, so what was found in one says how large the
next is. Slices grow slower for filters that read segments, unless an index lists the traces that can match (`indexed.py`),
and slowest for root causes, which are computed in Python.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from fluoro_collector.query.filter.compile import EVERY_TRACE, Compiled, compile_filter
from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.query.graph.graph_minutes import MINUTE, Dirty
from fluoro_collector.query.search.cause_terms import matching_ids
from fluoro_collector.query.search.cursor import Position
from fluoro_collector.query.search.indexed import Candidates, candidates
from fluoro_collector.query.search.live_graph import live_params, searched_rows_sql
from fluoro_collector.query.search.trace_rows import COLUMNS, GRAPH_COLUMNS, trace_rows_params, trace_rows_sql
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
REACH = HOUR  # how far after its start the rows of a trace are looked for

# When a trace is in the range: it began there, it was active there at some moment, it ended there.
By = Literal["start", "active", "end"]
LONGEST = DAY  # a trace that lasts longer is not found by its activity or end after that

ROW_COLUMNS = (*COLUMNS, *GRAPH_COLUMNS)
_POSITION_COLUMNS = ("trace_id", "began")
_NOT_TEXT = frozenset({"began", "minute"})
_WINDOWS: dict[str, str] = {
    "start": "1",
    "active": "toUnixTimestamp64Nano(began) + toInt64(lasted) >= {window_from:Int64}",
    "end": (
        "toUnixTimestamp64Nano(began) + toInt64(lasted) >= {window_from:Int64}"
        " AND toUnixTimestamp64Nano(began) + toInt64(lasted) < {window_until:Int64}"
    ),
}
_GROWTH = 4
_FASTEST_GROWTH = 24  # after a slice in which nothing was found
_FIRST_SLICE = HOUR
_FIRST_SLICE_OF_SEGMENTS = HOUR // 4
_FIRST_SLICE_OF_CAUSES = 60 * SECOND
_COUNT_SLICE_OF_SEGMENTS = DAY  # bounds the memory of one statement
_COUNT_SLICE_OF_CAUSES = HOUR
_MOST = (1 << 32) - 1
_LAST_ID = b"\xff" * 16
_LATEST = (1 << 63) - 1


@dataclass(frozen=True)
class _Search:
    """One question, compiled. `first` and `last` bound the starts of its traces, `window` is the range asked for (epoch ns).

    `graph`: the nodes and edges of each trace are columns of the answer.
    """

    engine: Engine
    dirty: Dirty
    compiled: Compiled
    by: By
    window: tuple[int, int]
    first: int
    last: int
    graph: bool = False

    def params(
        self, begin: int, until: int, cursor: Position | None, ids: Collection[bytes] = ()
    ) -> tuple[dict[str, Any], bool]:
        """Parameters for the traces that began in [begin, until), and whether some of their minutes are dirty. With `ids`
        only these traces.
        """
        # In whole numbers: a float loses the last ns, and with it the minute of a page that ends at its first ns.
        first, last = begin // SECOND // MINUTE * MINUTE, -(-until // (SECOND * MINUTE)) * MINUTE
        live = self.dirty(first, last)
        params = {
            **trace_rows_params(first, last, live, ids),
            **self.compiled.params,
            "from": begin,
            "until": until,
            "reach": until + REACH,
            "window_from": self.window[0],
            "window_until": self.window[1],
            "cursor_start": cursor.start if cursor else _LATEST,
            "cursor_id": cursor.trace_id if cursor else _LAST_ID,
        }
        if not self.graph:
            params |= live_params(self.engine, live, self.compiled)
        if self.compiled.causes:
            params |= self._causes(params, begin, until, live=bool(live.minutes))
        return params, bool(live.minutes)

    def sql(self, name: str, columns: tuple[str, ...], condition: str, *, live: bool) -> str:
        names = [f"{column}_ns" if column == "began" else column for column in columns]
        listed = ", ".join(f"toUnixTimestamp64Nano({c}) AS {c}_ns" if c == "began" else c for c in columns)
        rows = trace_rows_sql if self.graph else searched_rows_sql
        filled = {
            "COLUMNS": listed,
            "GATHERED": ", ".join(f"groupArray({name}) AS {name}" for name in names),
            "TRACES": rows(graph=self.graph or self.compiled.graph, live=live),
            "WINDOW": _WINDOWS[self.by],
            "CONDITION": condition,
        }
        text = statement(name)
        return "\n".join(_filled(line, filled) for line in text.splitlines() if not line.startswith("--"))

    def _causes(self, params: dict[str, Any], begin: int, until: int, *, live: bool) -> dict[str, list[bytes]]:
        """Ids of the traces that match each root-cause term, among those that could match the filter."""
        sql = self.sql("find_traces", ("trace_id",), self.compiled.suspects or "1", live=live)
        suspects = self.engine.query(sql, {**params, "limit": _MOST})["trace_id"][0]
        return matching_ids(self.engine, self.compiled.causes, suspects, begin, until)

    def candidates(self, begin: int, until: int) -> Candidates | None:
        """What an index says of the traces that began in [begin, until); None: nothing."""
        if self.compiled.causes or not self.compiled.rows:
            return None
        return candidates(self.engine, self.compiled, begin, until, REACH)


def search(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    filter_text: str = "",
    limit: int = 50,
    cursor: Position | None = None,
    *,
    by: By = "start",
    groups: Groups = no_groups,
) -> tuple[list[Position], Position | None]:
    """(start, id) of the matching traces of [start, end) (epoch seconds), by their start, newest first; and the cursor of
    the next page. Raises FilterError.
    """
    question = _question(engine, dirty, start, end, filter_text, by, groups)
    rows, following = _pages(question, _POSITION_COLUMNS, limit, cursor)
    return [Position(row["began"], row["trace_id"]) for row in rows], following


def search_rows(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    filter_text: str = "",
    limit: int = 50,
    cursor: Position | None = None,
    *,
    by: By = "start",
    groups: Groups = no_groups,
    graph: bool = False,
) -> tuple[list[dict[str, Any]], Position | None]:
    """As `search`, with the rows of `traces`: columns by name, `began` in epoch ns. graph: with `nodes` and `edges`."""
    question = _question(engine, dirty, start, end, filter_text, by, groups, graph=graph)
    return _pages(question, ROW_COLUMNS if graph else COLUMNS, limit, cursor)


def count(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    filter_text: str = "",
    *,
    by: By = "start",
    groups: Groups = no_groups,
) -> int:
    """How many traces match in the range. Raises FilterError."""
    question = _question(engine, dirty, start, end, filter_text, by, groups)
    compiled = question.compiled
    begin, until = question.first, question.last
    ids: list[bytes] = []
    listed = question.candidates(begin, until)
    if listed is not None:
        ids, begin, until = listed
        if not ids:
            return 0
    size = max(until - begin, 1)
    if compiled.causes:
        size = _COUNT_SLICE_OF_CAUSES
    elif compiled.reads_segments and listed is None:
        size = _COUNT_SLICE_OF_SEGMENTS
    total = 0
    for first in range(begin, until, size):
        params, live = question.params(first, min(first + size, until), None, ids)
        sql = question.sql("count_traces", (), compiled.condition, live=live)
        total += engine.query(sql, params)["count"][0]
    return total


def _question(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    filter_text: str,
    by: By,
    groups: Groups,
    *,
    graph: bool = False,
) -> _Search:
    compiled = compile_filter(parse(filter_text), groups) if filter_text.strip() else EVERY_TRACE
    window = round(start * SECOND), round(end * SECOND)
    first = window[0] if by == "start" else max(window[0] - LONGEST, 0)
    return _Search(engine, dirty, compiled, by, window, first, window[1], graph)


def _pages(
    question: _Search, columns: tuple[str, ...], limit: int, cursor: Position | None
) -> tuple[list[dict[str, Any]], Position | None]:
    """One page, and the cursor of the next; None = there is no other."""
    compiled = question.compiled
    indexed = bool(compiled.rows) and not compiled.causes
    smallest = _FIRST_SLICE
    if compiled.causes:
        smallest = _FIRST_SLICE_OF_CAUSES
    elif compiled.reads_segments:
        smallest = _FIRST_SLICE_OF_SEGMENTS
    size = _FIRST_SLICE if indexed else smallest
    until = question.last if cursor is None else min(question.last, cursor.start + 1)
    found: list[dict[str, Any]] = []
    while until > question.first:
        begin = max(question.first, until - size)
        listed = question.candidates(begin, until) if indexed else None
        if indexed and listed is None:
            indexed, size = False, smallest  # too many to list: as without an index from here
            continue
        rows = _slice(question, begin, until, listed, columns, limit + 1 - len(found), cursor)
        found += rows
        if len(found) > limit:
            final = found[limit - 1]
            return found[:limit], Position(final["began"], final["trace_id"])
        until = begin
        growth = _GROWTH
        if listed is not None or not compiled.reads_segments:
            growth = _growth(len(rows), limit + 1 - len(found))
        size *= growth
        if listed is not None and not listed.ids:
            size = until - question.first  # so few that they can be listed whatever the range
    return found, None


def _slice(
    question: _Search,
    begin: int,
    until: int,
    listed: Candidates | None,
    columns: tuple[str, ...],
    limit: int,
    cursor: Position | None,
) -> list[dict[str, Any]]:
    """The newest `limit` matching traces that began in [begin, until), columns by name."""
    ids: list[bytes] = []
    if listed is not None:
        ids, begin, until = listed
        if not ids:
            return []
    params, live = question.params(begin, until, cursor, ids)
    sql = question.sql("find_traces", columns, question.compiled.condition, live=live)
    answer = question.engine.query(sql, {**params, "limit": limit})
    arrays = (values for (values,) in answer.values())
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*arrays, strict=True)]
    return sorted(rows, key=lambda row: (row["began"], row["trace_id"]), reverse=True)  # groupArray promises no order


def _growth(found: int, missing: int) -> int:
    """How many times as long as the last slice, in which so many were found, the next is: twice what should do."""
    if not found:
        return _FASTEST_GROWTH
    return min(max(-(-2 * missing // found), _GROWTH), _FASTEST_GROWTH)


def _filled(line: str, by: dict[str, str]) -> str:
    """A line of a statement with its words in capitals replaced, each at most once; what is put in is not looked at."""
    for word, text in by.items():
        before, found, after = line.partition(word)
        if found:
            return f"{before}{text}{after}"
    return line
