"""The rows of `traces`, nodes and edges included, of the traces that a search has found.

A search asks for ids only: planning the live half with nodes and edges costs 0.3 s of CPU for each slice of time that
has dirty minutes. Here it is planned once, and only when one of the traces began in such a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fluoro_collector.query.graph.graph_minutes import MINUTE, Dirty
from fluoro_collector.query.search.cursor import Position
from fluoro_collector.query.search.trace_rows import COLUMNS, GRAPH_COLUMNS, trace_rows_params, trace_rows_sql
from fluoro_collector.store.engine import Engine

_SECOND = 1_000_000_000


def found_rows(engine: Engine, dirty: Dirty, found: Sequence[Position]) -> list[dict[str, Any]]:
    """Columns by name, `began` in epoch ns, in the order of `found`; a trace that has gone since is left out."""
    if not found:
        return []
    minutes = {position.start // _SECOND // MINUTE * MINUTE for position in found}
    first, last = min(minutes), max(minutes) + MINUTE
    live = dirty(first, last)
    live = live._replace(minutes=[minute for minute in live.minutes if minute in minutes])
    names = (*COLUMNS, *GRAPH_COLUMNS)
    listed = ", ".join(f"toUnixTimestamp64Nano({name}) AS began_ns" if name == "began" else name for name in names)
    relation = trace_rows_sql(graph=True, live=bool(live.minutes))
    sql = f"SELECT {listed} FROM {relation} WHERE trace_id IN {{ids:Array(FixedString(16))}}"  # noqa: S608 - constants of this package
    ids = [position.trace_id for position in found]
    columns = engine.query(sql, trace_rows_params(first, last, live, ids))
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    by_key = {(row["began"], row["trace_id"]): row for row in rows}
    return [by_key[position[:2]] for position in found if position[:2] in by_key]
