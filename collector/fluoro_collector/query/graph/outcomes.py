"""Requests by node, edge and moment, as numbers by outcome and nothing else: what expected bands are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.graph.graph_minutes import MINUTE, Dirty, live_minutes
from fluoro_collector.query.graph.service_graph import NodeKey
from fluoro_collector.query.search.matching import matching
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

MOST = 1000  # nodes and edges of one period; more are not told apart by any band

Pair = tuple[NodeKey, NodeKey]  # caller, callee
_EDGE_KEYS = ("time", "source_name", "source_type", "name", "type")


class Counts(NamedTuple):
    """Requests by their worst flag."""

    ok: int = 0
    error: int = 0
    throttle: int = 0
    fault: int = 0

    @property
    def total(self) -> int:
        return self.ok + self.error + self.throttle + self.fault

    def plus(self, other: Counts) -> Counts:
        return Counts(*map(sum, zip(self, other, strict=True)))


NONE = Counts()


class Outcomes(NamedTuple):
    """Of one period. A client has no figures but those of its edge, whose source has the type "client"."""

    nodes: dict[NodeKey, Counts]
    edges: dict[Pair, Counts]


# (first, last, period) in seconds, whether edges are wanted too → one entry for every period, empty ones too.
Source = Callable[[int, int, int, bool], dict[int, Outcomes]]


def outcomes(
    engine: Engine, dirty: Dirty, first: int, last: int, period: int = MINUTE, edges: bool = True
) -> dict[int, Outcomes]:
    """Of every node in [first, last), epoch seconds, whole periods; by start of the period. `period` is a multiple of 60."""
    live = dirty(first, last)
    found = {moment: Outcomes({}, {}) for moment in range(first, last, period)}
    params = {"first": first, "last": last, "dirty": live.minutes, "period": period, "most": MOST}
    for time, name, kind, *counts in _rows(engine.query(statement("node_outcomes"), params), "time", "name", "type"):
        _add(found[time].nodes, (name, kind), Counts(*counts))
    if edges:
        rows = engine.query(statement("edge_outcomes"), params)
        for time, caller, caller_type, name, kind, *counts in _rows(rows, *_EDGE_KEYS):
            _add(found[time].edges, ((caller, caller_type), (name, kind)), Counts(*counts))
    live_keys = ("relation", "minute", "source_name", "source_type", "target_name", "target_type")
    for columns in live_minutes(engine, live):
        for relation, minute, caller, caller_type, name, kind, *counts in _rows(columns, *live_keys):
            moment = found[minute // period * period]
            if relation == "node":
                _add(moment.nodes, (name, kind), Counts(*counts))
            elif edges:
                _add(moment.edges, ((caller, caller_type), (name, kind)), Counts(*counts))
    return found


def group_outcomes(
    engine: Engine,
    dirty: Dirty,
    first: int,
    last: int,
    period: int = MINUTE,
    edges: bool = True,
    *,
    filter_text: str,
    groups: Groups = no_groups,
) -> dict[int, Outcomes]:
    """As `outcomes`, of the traces that match and in the period in which they began: how many traces have requests of a
    node, by the worst of these. So a trace that calls a service ten times counts once. Raises FilterError.
    """
    found = {moment: Outcomes({}, {}) for moment in range(first, last, period)}
    columns = ("toUnixTimestamp(began) AS second", "nodes", "edges")
    for part in matching(engine, dirty, first, last, filter_text, columns, groups=groups, graph=True):
        params = {**part.params, "period": period, "most": MOST, "with_edges": edges}
        rows = engine.query(part.within("group_outcomes"), params)
        for time, caller, caller_type, name, kind, *counts in _rows(rows, *_EDGE_KEYS):
            if caller:
                _add(found[time].edges, ((caller, caller_type), (name, kind)), Counts(*counts))
            else:
                _add(found[time].nodes, (name, kind), Counts(*counts))
    return found


def oldest_minute(engine: Engine) -> int:
    """The first minute that is rolled up, epoch seconds; 0 while none is. Read from metadata, not from data."""
    found = engine.query("SELECT toUnixTimestamp(min(minute)) AS oldest, count() AS rows FROM nodes_1m")
    return int(found["oldest"][0]) if found["rows"][0] else 0


def source(engine: Engine, dirty: Dirty, expression: str, groups: Groups = no_groups) -> Source:
    """Of all requests, or of the traces that match the expression of a group."""
    if not expression.strip():
        return partial(outcomes, engine, dirty)
    return partial(group_outcomes, engine, dirty, filter_text=expression, groups=groups)


def _rows(columns: dict[str, list[Any]], *keys: str) -> zip[tuple[Any, ...]]:
    return zip(*(columns[name] for name in (*keys, "ok", "error", "throttle", "fault")), strict=True)


def _add(sums: dict[Any, Counts], key: Any, counts: Counts) -> None:
    before = sums.get(key)
    sums[key] = counts if before is None else before.plus(counts)
