"""The rows of the table `traces` in a range as ONE relation: stored ones of clean minutes, live ones of dirty minutes.

    live = dirty(first, last)
    sql = f"SELECT trace_id, began FROM {trace_rows_sql(graph=False, live=bool(live.minutes))} WHERE … ORDER BY began DESC"
    engine.query(sql, {**trace_rows_params(first, last, live), …})

Columns: those of `store/schema/0005_traces.sql` without `version`, same names and types. Nodes that no request of their
own makes (a client, a script that only calls, a queue whose producer is elsewhere) are ends of `edges` and not in `nodes`.

A trace is in the minute in which it began. What lies more than an hour before its other rows is a trace of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from fluoro_collector.query.graph.graph_minutes import ALL_SETTLED, MINUTE, Live, observing
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

# Column → its type in the table, where a live one has another.
_LOW = "LowCardinality(String)"
_NODES = f"Array(Tuple(name {_LOW}, type {_LOW}, outcomes UInt8))"
_EDGES = f"Array(Tuple(source_name {_LOW}, source_type {_LOW}, target_name {_LOW}, target_type {_LOW}, outcomes UInt8))"
_CAST = {
    **dict.fromkeys(("service", "origin", "environment", "operation", "http_method", "http_user_agent"), _LOW),
    "services": f"Array({_LOW})",
    "nodes": _NODES,
    "edges": _EDGES,
}
COLUMNS = (
    *("minute", "began", "trace_id", "lasted", "service", "origin", "environment", "operation"),
    *(
        "http_method",
        "http_url",
        "http_status",
        "http_user_agent",
        "http_client_ip",
        "response_time",
        "root_in_progress",
    ),
    *(
        "error",
        "throttle",
        "fault",
        "any_error",
        "any_throttle",
        "any_fault",
        "partial",
        "users",
        "segments",
        "services",
    ),
)
GRAPH_COLUMNS = ("nodes", "edges")


@cache
def trace_rows_sql(*, graph: bool, live: bool = True) -> str:
    """A subquery in parentheses: `SELECT … FROM {trace_rows_sql(graph=True)} WHERE …`.

    graph: with `nodes` and `edges` (live ones cost some 8 µs of CPU per segment). live: False leaves the live half out,
    for a `Live` without minutes: planning it is most of what it costs. Parameters: `trace_rows_params`.
    """
    stored = f"SELECT {', '.join((*COLUMNS, *(GRAPH_COLUMNS if graph else ())))} FROM ({statement('trace_stored')})"  # noqa: S608 - constants of this package
    return f"({stored} UNION ALL {trace_live_sql(graph=graph)})" if live else f"({stored})"


@cache
def trace_live_sql(*, graph: bool) -> str:
    """The live half: a SELECT of the same columns."""
    basics = f"(\n{statement('trace_basics')}\n) AS b"
    columns = ", ".join(_cast("b", name) for name in COLUMNS)
    if not graph:
        return f"SELECT {columns} FROM {basics}"  # noqa: S608 - constants of this package
    columns = ", ".join((columns, *(_cast("g", name) for name in GRAPH_COLUMNS)))
    joined = f"{basics} LEFT JOIN (\n{observing('trace_graph')}\n) AS g ON g.trace_id = b.trace_id"
    return f"SELECT {columns} FROM {joined}"  # noqa: S608 - as above


def _cast(table: str, name: str) -> str:
    return f"CAST({table}.{name}, '{_CAST[name]}') AS {name}" if name in _CAST else f"{table}.{name} AS {name}"


def trace_rows_params(first: int, last: int, live: Live, ids: Collection[bytes] = ()) -> dict[str, Any]:
    """The parameters of `trace_rows_sql` for traces that began in [first, last), whole minutes in epoch seconds.

    `live` is `Rollup.dirty(first, last)`. With `ids` only these traces.

    `rows_first`, `rows_last`: the range. `minutes`: dirty, read from `segments` and not from the store; `first`, `last`:
    from the first to the end of the last of them. `settled`: epoch ms until when rows are settled. `ids`: empty = all.
    """
    minutes = live.minutes
    return {
        "rows_first": first,
        "rows_last": last,
        "minutes": minutes,
        "first": minutes[0] if minutes else first,
        "last": minutes[-1] + MINUTE if minutes else first,
        "settled": live.settled_ms,
        "ids": list(ids),
    }


def trace_basics(engine: Engine, minutes: Sequence[int]) -> dict[str, list[Any]]:
    """`COLUMNS` of the traces that began in these minutes (epoch seconds, ascending), from `segments`."""
    params = trace_rows_params(minutes[0], minutes[-1] + MINUTE, Live(list(minutes), ALL_SETTLED))
    return engine.query(statement("trace_basics"), params, {"max_threads": 1})
