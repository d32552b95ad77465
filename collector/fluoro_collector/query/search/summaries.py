"""The trace list: summaries of matching traces, newest first."""

from __future__ import annotations

from typing import Any

import msgspec

from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.graph.graph_minutes import Dirty
from fluoro_collector.query.ids import format_trace_id
from fluoro_collector.query.search.cursor import Position
from fluoro_collector.query.search.search import SECOND, By, count, search_rows
from fluoro_collector.store.engine import Engine


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


def traces(
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
) -> TraceList:
    """One page of summaries. Only a first page that is not the only one counts what matches. Raises FilterError."""
    rows, following = search_rows(engine, dirty, start, end, filter_text, limit, cursor, by=by, groups=groups)
    if cursor is not None and cursor.matching >= 0:
        total = cursor.matching
    elif cursor is None and following is None:
        total = len(rows)
    else:
        total = count(engine, dirty, start, end, filter_text, by=by, groups=groups)
    return TraceList(
        traces=[summary(row) for row in rows],
        cursor=str(following._replace(matching=total)) if following is not None else None,
        count=total,
    )


def summary(row: dict[str, Any]) -> TraceSummary:
    """A row of `traces` as the dashboard shows it."""
    error, throttle, fault = row["error"], row["throttle"], row["fault"]
    return TraceSummary(
        id=format_trace_id(row["trace_id"]),
        start=row["began"] / SECOND,
        duration=row["lasted"] / SECOND,
        response_time=row["response_time"] / SECOND,
        service=row["service"],
        operation=row["operation"],
        method=row["http_method"],
        url=row["http_url"],
        status=row["http_status"] or None,
        outcome=outcome(error, throttle, fault),
        ok=not (error or throttle or fault),
        error=bool(error),
        throttle=bool(row["any_throttle"]),
        fault=bool(fault),
        segments=row["segments"],
        services=list(row["services"]),
        partial=bool(row["partial"]),
        user=next(iter(row["users"]), ""),
    )


def outcome(error: Any, throttle: Any, fault: Any) -> str:
    """The worst of the flags: "fault", "throttle", "error" or "ok"."""
    return "fault" if fault else "throttle" if throttle else "error" if error else "ok"
