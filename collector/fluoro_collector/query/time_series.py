"""Requests over time, of one node or of the whole map."""

from __future__ import annotations

import msgspec

from fluoro_collector.store.engine import Engine

from .graph_minutes import MINUTE, Dirty, live_minutes
from .service_graph import NodeKey, whole_minutes
from .sql import statement
from .statistics import FIGURES, Statistics


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


def series(
    engine: Engine, dirty: Dirty, start: float, end: float, period: int = MINUTE, node: NodeKey | None = None
) -> dict[int, Statistics]:
    """Sums by start of the period (epoch seconds); without a node those of the entry edges: requests of clients.

    `period` is a multiple of 60. A node that has no requests of its own (a client) has the figures of its edges.
    """
    first, last = whole_minutes(start, end)
    first = first // period * period
    live = dirty(first, last)
    name, kind = node or ("", "client")
    edges = kind == "client"
    params = {"first": first, "last": last, "dirty": live.minutes, "period": period, "name": name, "type": kind}
    columns = engine.query(statement("client_series" if edges else "node_series"), params)
    sums = {moment: Statistics() for moment in range(first, last, period)}
    for moment, *row in zip(columns["time"], *(columns[name] for name in FIGURES), strict=True):
        sums[moment].add(tuple(row))
    for rows in live_minutes(engine, live):
        names = rows["source_name" if edges else "target_name"]
        kinds = rows["source_type" if edges else "target_type"]
        keys = zip(rows["relation"], names, kinds, rows["minute"], strict=True)
        values = zip(*(rows[name] for name in FIGURES), strict=True)
        for (relation, row_name, row_kind, minute), figures in zip(keys, values, strict=True):
            if (relation != "node") == edges and row_kind == kind and row_name == (name or row_name):
                sums[minute // period * period].add(figures)
    return sums


def time_series(
    engine: Engine, dirty: Dirty, start: float, end: float, period: int = MINUTE, node: NodeKey | None = None
) -> TimeSeries:
    """As `series`, as the dashboard shows it."""
    return TimeSeries(
        period=period,
        points=[
            Point(
                time=float(moment),
                ok=sums.ok,
                error=sums.error,
                throttle=sums.throttle,
                fault=sums.fault,
                total=sums.total,
                p50=sums.quantile(0.5),
                p95=sums.quantile(0.95),
                p99=sums.quantile(0.99),
            )
            for moment, sums in sorted(series(engine, dirty, start, end, period, node).items())
        ],
    )
