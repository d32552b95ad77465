"""Search: summaries of matching traces, newest first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from fluoro_collector.store.engine import Engine

from .filter.compile import Compiled, compile_filter
from .filter.parse import parse
from .ids import format_trace_id
from .sql import statement

SECOND = 1_000_000_000
REACH = 3600 * SECOND  # how far around its start the rows of a trace are looked for; as in the SQL
_FIRST_SLICE = 60 * SECOND
_FIRST_FILTERED_SLICE = 3600 * SECOND
_GROWTH = 4
_COUNT_SLICE = 86_400 * SECOND  # bounds the memory of one counting statement
_LAST_ID = b"\xff" * 16
_LATEST = (1 << 63) - 1
_ALL = Compiled("1", None, {})


class TraceSummary(msgspec.Struct, kw_only=True):
    """One trace. Times are epoch seconds, durations seconds.

    `duration` is from the first start to the last end, `response_time` that of the root (0 while it runs). `outcome`,
    `ok`, `error` and `fault` describe the root; `throttle` and `partial` (something is still in progress) any segment,
    as the filter keywords do. `services` are in the order of their first appearance.
    """

    id: str
    start: float
    duration: float
    response_time: float
    service: str
    operation: str
    method: str
    url: str
    status: int | None
    outcome: str
    ok: bool
    error: bool
    throttle: bool
    fault: bool
    segments: int
    services: list[str]
    partial: bool
    user: str


class TraceList(msgspec.Struct, kw_only=True):
    """One page. `cursor` asks for the next one, null = this was the last. `count` is the number of all matching traces
    in the range, as the first page counted them.
    """

    traces: list[TraceSummary]
    cursor: str | None
    count: int


class Position(NamedTuple):
    """Where a page ended: start (epoch ns) and id of its last trace. New traces do not move it.

    `matching` is how many traces match in all, -1 when nobody counted: later pages need not count again.
    """

    start: int
    trace_id: bytes
    matching: int = -1

    def __str__(self) -> str:
        data = self.start.to_bytes(8, "big") + self.trace_id
        if self.matching >= 0:
            data += self.matching.to_bytes(8, "big")
        return base64.urlsafe_b64encode(data).decode().rstrip("=")


class CursorError(ValueError):
    """The cursor is not one that an earlier page gave."""


def parse_cursor(text: str) -> Position:
    """Raises CursorError."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    counted = len(data) == 32 and data[24] < 128
    if not (len(data) == 24 or counted) or data[0] > 127:
        raise CursorError("this cursor was not given out by this API")
    matching = int.from_bytes(data[24:], "big") if counted else -1
    return Position(int.from_bytes(data[:8], "big"), data[8:24], matching)


def search(
    engine: Engine, start: float, end: float, filter_text: str = "", limit: int = 50, cursor: Position | None = None
) -> tuple[list[Position], Position | None]:
    """(start, id) of matching traces that began in [start, end), newest first, and the cursor of the next page.

    Looks at ever larger slices of time, newest first, until the page is full: the newest traces cost what they are, a
    rare match costs the range. Raises FilterError.
    """
    compiled = _compiled(filter_text)
    sql = _matching("search", compiled)
    first, last = _nanoseconds(start, end)
    if cursor is not None:
        last = min(last, cursor.start + 1)
    found: list[Position] = []
    for begin, until in _slices(first, last, _FIRST_FILTERED_SLICE if compiled.prefilter else _FIRST_SLICE):
        params = _params(compiled, begin, until, cursor)
        columns = engine.query(sql, {**params, "limit": limit + 1 - len(found)})
        found += map(Position, columns["began"], columns["trace_id"])
        if len(found) > limit:
            return found[:limit], found[limit - 1]
    return found, None


def count(engine: Engine, start: float, end: float, filter_text: str = "") -> int:
    """How many matching traces began in [start, end). Costs what the range holds. Raises FilterError."""
    compiled = _compiled(filter_text)
    sql = statement("count_all") if compiled is _ALL else _matching("count", compiled)
    first, last = _nanoseconds(start, end)
    total = 0
    for begin in range(first, last, _COUNT_SLICE):
        until = min(begin + _COUNT_SLICE, last)
        params = {"from": begin, "until": until} if compiled is _ALL else _params(compiled, begin, until, None)
        total += engine.query(sql, params)["count"][0]
    return total


def traces(
    engine: Engine, start: float, end: float, filter_text: str = "", limit: int = 50, cursor: Position | None = None
) -> TraceList:
    """One page of summaries. Only a first page that is not the only one counts what matches. Raises FilterError."""
    found, following = search(engine, start, end, filter_text, limit, cursor)
    if cursor is not None and cursor.matching >= 0:
        total = cursor.matching
    elif cursor is None and following is None:
        total = len(found)
    else:
        total = count(engine, start, end, filter_text)
    listed = [summary(row) for row in summary_rows(engine, found)]
    return TraceList(
        traces=listed, cursor=str(following._replace(matching=total)) if following is not None else None, count=total
    )


def summary_rows(engine: Engine, found: list[Position]) -> list[dict[str, Any]]:
    """Rows of `summaries.sql` for these traces, in their order."""
    if not found:
        return []
    columns = engine.query(statement("summaries"), _window(found))
    rows = {values[0]: dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)}
    return [rows[position.trace_id] for position in found if position.trace_id in rows]


class Fact(NamedTuple):
    """Row of `summary_facts.sql`: ("node", name, type, ""), ("text" or "number", key, value, service), ("user", …)."""

    kind: str
    name: str
    value: str
    service: str


def summary_facts(engine: Engine, found: list[Position]) -> dict[bytes, list[Fact]]:
    """Nodes, annotations and users of these traces, without duplicates."""
    facts: dict[bytes, list[Fact]] = {position.trace_id: [] for position in found}
    if found:
        columns = engine.query(statement("summary_facts"), _window(found))
        for trace_id, *values in zip(*columns.values(), strict=True):
            facts[trace_id].append(Fact(*values))
    return facts


def _window(found: list[Position]) -> dict[str, Any]:
    return {
        "ids": [position.trace_id for position in found],
        "from": min(position.start for position in found),
        "until": max(position.start for position in found) + REACH,
    }


def summary(row: dict[str, Any]) -> TraceSummary:
    """A row of `summaries.sql` as the dashboard shows it."""
    error, throttle, fault = row["root_error"], row["root_throttle"], row["root_fault"]
    services = row["services"]
    return TraceSummary(
        id=format_trace_id(row["trace_id"]),
        start=row["began"] / SECOND,
        duration=row["lasted"] / SECOND,
        response_time=row["root_duration"] / SECOND,
        service=row["root_service"],
        operation=row["root_operation"],
        method=row["root_method"],
        url=row["root_url"],
        status=row["root_status"] or None,
        outcome=outcome(error, throttle, fault),
        ok=not (error or throttle or fault),
        error=bool(error),
        throttle=bool(row["any_throttle"]),
        fault=bool(fault),
        segments=row["rows"],
        services=[name for name in sorted(services, key=lambda name: (services[name], name)) if name],
        partial=bool(row["partial"]),
        user=row["first_user"],
    )


def outcome(error: Any, throttle: Any, fault: Any) -> str:
    """The worst of the flags: "fault", "throttle", "error" or "ok"."""
    return "fault" if fault else "throttle" if throttle else "error" if error else "ok"


def _compiled(filter_text: str) -> Compiled:
    return compile_filter(parse(filter_text)) if filter_text.strip() else _ALL


def _matching(name: str, compiled: Compiled) -> str:
    """The statement `name` over `matching.sql` with the filter's conditions in their places."""
    sql = statement(name).replace("MATCHING\n", statement("matching"), 1)
    sql = sql.replace("PREFILTER\n", f"{compiled.prefilter or 1}\n", 1)
    return _replace_last(sql, "CONDITION", compiled.condition)


def _params(compiled: Compiled, begin: int, until: int, cursor: Position | None) -> dict[str, Any]:
    return {
        **compiled.params,
        "from": begin,
        "until": until,
        "reach_until": until + REACH if compiled.prefilter else until,
        "cursor_start": cursor.start if cursor else _LATEST,
        "cursor_id": cursor.trace_id if cursor else _LAST_ID,
    }


def _nanoseconds(start: float, end: float) -> tuple[int, int]:
    return round(start * SECOND), round(end * SECOND)


def _slices(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    """[first, last) in pieces, newest first, each larger than the one before."""
    until = last
    while until > first:
        begin = max(first, until - size)
        yield begin, until
        until = begin
        size *= _GROWTH


def _replace_last(text: str, word: str, by: str) -> str:
    before, _, after = text.rpartition(f"{word}\n")
    return f"{before}{by}\n{after}"
