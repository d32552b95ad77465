"""Matching traces as a relation that other statements count, group and join: what `search` lists, without its pages.

    for part in matching(engine, dirty, start, end, filter_text, ("trace_id", "response_time")):
        engine.query(part.within("top_values"), {**part.params, …})

The range comes in slices, each trace in one of them: the whole range for a filter over `traces` alone, days where a filter reads
segments, hours for root causes, whose matching ids are looked up before. So sums over slices are exact, and one
statement's memory is bounded by its slice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from fluoro_collector.query.filter.compile import EVERY_TRACE, compile_filter
from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.query.graph.graph_minutes import MINUTE, Dirty
from fluoro_collector.query.search.live_graph import live_params, searched_rows_sql
from fluoro_collector.query.search.search import search
from fluoro_collector.query.search.trace_rows import trace_rows_params, trace_rows_sql
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.histogram import bucket_sql

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
REACH = HOUR  # how far after its start the rows of a trace are looked for, as search does
_MOST = 10_000_000  # ids of one hour; the time limit ends a question long before

# Columns of `matching` that several questions ask for.
OUTCOME = "toUInt8(multiIf(fault, 3, throttle, 2, error, 1, 0)) AS outcome"  # the root's worst flag: OUTCOMES
UNFINISHED = 255  # instead of a bucket
BUCKET = f"toUInt8(if(root_in_progress, {UNFINISHED}, {bucket_sql('response_time')})) AS bucket"
OUTCOMES = ("ok", "error", "throttle", "fault")


class Matching(NamedTuple):
    """One slice: a SELECT of the columns asked for, and its parameters (`from`, `until`, `reach` in epoch ns among them)."""

    sql: str
    params: dict[str, Any]

    @property
    def ids(self) -> str:
        """A SELECT of the ids alone; `trace_id` must be among the columns."""
        return f"SELECT trace_id FROM (\n{self.sql}\n)"  # noqa: S608 - made of statements of this package

    def within(self, name: str) -> str:
        """The statement `query/{name}.sql` with this SELECT for its word MATCHING."""
        return statement(name).replace("MATCHING\n", f"{self.sql}\n")


def matching(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    filter_text: str,
    columns: tuple[str, ...],
    *,
    groups: Groups = no_groups,
    longest: int = 0,
    graph: bool = False,
) -> Iterator[Matching]:
    """The traces that began in [start, end) (epoch seconds) and match; "" matches every trace.

    `columns` are expressions over those of `trace_rows.py`, nodes and edges only with `graph`; ours and never input. `longest`
    bounds a slice (ns; 0 = only the filter does). Raises FilterError, before the first slice.
    """
    compiled = compile_filter(parse(filter_text), groups) if filter_text.strip() else EVERY_TRACE
    first, last = round(start * SECOND), round(end * SECOND)
    size = longest or max(last - first, 1)
    if compiled.causes:
        size = min(size, HOUR)
    elif compiled.reads_segments:
        size = min(size, DAY)
    for begin in range(first, last, size):
        until = min(begin + size, last)
        minutes = begin // SECOND // MINUTE * MINUTE, math.ceil(until / SECOND / MINUTE) * MINUTE
        live = dirty(*minutes)
        params: dict[str, Any] = {
            **trace_rows_params(*minutes, live),
            "from": begin,
            "until": until,
            "reach": until + REACH,
        }
        condition = compiled.condition
        if compiled.causes:
            found, _ = search(engine, dirty, begin / SECOND, until / SECOND, filter_text, _MOST, groups=groups)
            params["matched"] = [position.trace_id for position in found]
            condition = "trace_id IN {matched:Array(FixedString(16))}"
        else:
            params |= compiled.params
            if not graph:
                params |= live_params(engine, live, compiled)
        relation = trace_rows_sql if graph else searched_rows_sql
        traces = relation(graph=graph or (compiled.graph and not compiled.causes), live=bool(live.minutes))
        template = statement("matching_traces").replace("COLUMNS\n", f"{', '.join(columns)}\n")
        yield Matching(template.replace("CONDITION\n", f"{condition}\n").replace("TRACES AS", f"{traces} AS"), params)
