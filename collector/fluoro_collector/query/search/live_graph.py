"""Nodes and edges of the traces of dirty minutes, for filters that ask for them: once per state, not in every statement.

Planning them as part of a search costs 0.5 s of CPU, alone 0.25 s, and without them 0.04 s. So a statement of its own lists
them, Python decides which traces meet each term (`filter/graph_terms.py`), and the search takes their ids.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from fluoro_collector.query.filter.compile import Compiled
from fluoro_collector.query.filter.graph_terms import Observed, meets
from fluoro_collector.query.graph.graph_minutes import MINUTE, Live, observing
from fluoro_collector.query.search.trace_rows import COLUMNS, trace_live_sql, trace_rows_params, trace_rows_sql
from fluoro_collector.store.engine import Engine


@cache
def searched_rows_sql(*, graph: bool, live: bool) -> str:
    """As `trace_rows_sql`, but live rows have no nodes and edges: the condition takes `live_params` too."""
    if not (graph and live):
        return trace_rows_sql(graph=graph, live=live)
    columns = ", ".join(COLUMNS)
    rows = f"SELECT {columns}, [] AS nodes, [] AS edges FROM ({trace_live_sql(graph=False)})"  # noqa: S608 - constants of this package
    return f"(SELECT * FROM {trace_rows_sql(graph=True, live=False)} UNION ALL {rows})"  # noqa: S608 - as above


def live_params(engine: Engine, live: Live, compiled: Compiled) -> dict[str, Any]:
    """For each of `Compiled.live` the ids of the traces touched in the dirty minutes that meet the term."""
    if not live.minutes or not compiled.live:
        return {}
    observed = live.kept(("live traces", live.state, *live.minutes), partial(_observed, engine, live))
    return {name: meets(term, observed) for name, term in compiled.live.items()}


def _observed(engine: Engine, live: Live) -> list[Observed]:
    params = trace_rows_params(live.minutes[0], live.minutes[-1] + MINUTE, live)
    found = engine.query(observing("trace_graph"), params, {"max_threads": 1})
    return [Observed(*row) for row in zip(found["trace_id"], found["nodes"], found["edges"], strict=True)]
