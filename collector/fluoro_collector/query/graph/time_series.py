"""Requests over time: of one node, along one edge, or of the whole map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.graph.filtered_graph import filtered_minutes
from fluoro_collector.query.graph.graph_minutes import MINUTE, Dirty, live_minutes
from fluoro_collector.query.graph.levels import DAY, HOUR, cover, leveled
from fluoro_collector.query.graph.service_graph import whole_minutes
from fluoro_collector.query.graph.statistics import FIGURES, QUANTILES, Statistics
from fluoro_collector.store.engine import Engine


class Point(msgspec.Struct, kw_only=True):
    """What began in [time, time + period): counts, and quantiles in seconds (null when nothing finished)."""

    time: float
    ok: int
    error: int
    throttle: int
    fault: int
    total: int
    p50: float | None
    p95: float | None
    p99: float | None


class TimeSeries(msgspec.Struct, kw_only=True):
    """One point per period that overlaps the range, ascending, empty ones too. `period` in seconds."""

    period: int
    points: list[Point]


# (name, type); a type of None stands for all.
NodeSelector = tuple[str, "str | None"]
# (caller, callee, kind); an empty name or kind stands for all.
EdgeSelector = tuple[NodeSelector, NodeSelector, str]
_CLIENTS: EdgeSelector = (("", "client"), ("", None), "")


def series(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    period: int = MINUTE,
    node: NodeSelector | None = None,
    edge: EdgeSelector | None = None,
) -> dict[int, Statistics]:
    """Sums by start of the period (epoch seconds): requests of a node, calls along an edge, or requests of all clients.

    `period` is a multiple of 60. A node that has no requests of its own (a client) has the figures of its edges. An edge
    that selects several adds them up. Periods of whole hours and days are read from hours and days.
    """
    first, last = whole_minutes(start, end)
    first = first // period * period
    live = dirty(first, last)
    if edge is None and (node is None or node[1] == "client"):
        edge = _CLIENTS if node is None else (node, ("", None), "")
    sums = {moment: Statistics() for moment in range(first, last, period)}
    for level, periods in cover(first, last, live, _largest(period)):
        params = {"periods": periods, "period": period}
        if edge is None:
            columns = engine.query(leveled("node_series", level), {**params, **_node_params(node)})
        else:
            columns = engine.query(leveled("edge_series", level), {**params, **_edge_params(edge)})
        for moment, *row in zip(columns["time"], *(columns[name] for name in FIGURES), strict=True):
            sums[moment].add(tuple(row))
    wanted = _node_test(node) if edge is None else _edge_test(edge)
    for rows in live_minutes(engine, live):
        _add(sums, rows, wanted, period)
    return sums


def filtered_series(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    period: int = MINUTE,
    node: NodeSelector | None = None,
    edge: EdgeSelector | None = None,
    *,
    filter_text: str,
    groups: Groups = no_groups,
) -> dict[int, Statistics]:
    """As `series`, of the traces that began in [start, end) and match; it costs what `filtered_graph` does.

    What such a trace did after `end` is not in any period. Raises FilterError.
    """
    first, last = whole_minutes(start, end)
    sums = {moment: Statistics() for moment in range(first // period * period, last, period)}
    if edge is None and (node is None or node[1] == "client"):
        edge = _CLIENTS if node is None else (node, ("", None), "")
    wanted = _node_test(node) if edge is None else _edge_test(edge)
    for rows in filtered_minutes(engine, dirty, start, end, filter_text, groups):
        _add(sums, rows, wanted, period)
    return sums


def _add(sums: dict[int, Statistics], rows: dict[str, list[Any]], wanted: _Test, period: int) -> None:
    """Add the wanted rows of `graph_minutes`; those of other periods are left out."""
    names = ("relation", "source_name", "source_type", "target_name", "target_type")
    keys = zip(*(rows[name] for name in names), strict=True)
    values = zip(rows["minute"], *(rows[name] for name in FIGURES), strict=True)
    for key, (minute, *figures) in zip(keys, values, strict=True):
        if wanted(*key) and (found := sums.get(minute // period * period)) is not None:
            found.add(tuple(figures))


def _largest(period: int) -> int:
    """Stored periods that lie in one of ours."""
    return next((size for size in (DAY, HOUR) if period % size == 0), MINUTE)


def _node_params(node: NodeSelector | None) -> dict[str, Any]:
    name, kind = node or ("", None)
    return {"name": name, "type": kind or "", "any_type": kind is None}


def _edge_params(edge: EdgeSelector) -> dict[str, Any]:
    (source, source_type), (target, target_type), kind = edge
    return {
        "source_name": source,
        "source_type": source_type or "",
        "any_source_type": source_type is None,
        "target_name": target,
        "target_type": target_type or "",
        "any_target_type": target_type is None,
        "kind": kind,
    }


_Test = Callable[[str, str, str, str, str], bool]  # relation, source name and type, target name and type


def _node_test(node: NodeSelector | None) -> _Test:
    name, kind = node or ("", None)
    return lambda relation, _source, _source_type, target, target_type: (
        relation == "node" and target == name and kind in (None, target_type)
    )


def _edge_test(edge: EdgeSelector) -> _Test:
    (wanted_source, wanted_source_type), (wanted_target, wanted_target_type), kind = edge
    return lambda relation, source, source_type, target, target_type: (
        relation == (kind or relation) != "node"
        and wanted_source in ("", source)
        and wanted_source_type in (None, source_type)
        and wanted_target in ("", target)
        and wanted_target_type in (None, target_type)
    )


def time_series(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    period: int = MINUTE,
    node: NodeSelector | None = None,
    edge: EdgeSelector | None = None,
) -> TimeSeries:
    """As `series`, as the dashboard shows it."""
    found = series(engine, dirty, start, end, period, node, edge)
    return TimeSeries(period=period, points=[_point(moment, sums) for moment, sums in sorted(found.items())])


def _point(moment: int, sums: Statistics) -> Point:
    p50, p95, p99 = sums.quantiles(QUANTILES)
    return Point(
        time=float(moment),
        ok=sums.ok,
        error=sums.error,
        throttle=sums.throttle,
        fault=sums.fault,
        total=sums.total,
        p50=p50,
        p95=p95,
        p99=p99,
    )
