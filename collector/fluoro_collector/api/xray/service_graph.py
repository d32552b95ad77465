"""Operations on the service map: GetServiceGraph, GetTraceGraph, GetTimeSeriesServiceStatistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fluoro_collector.insights.band import fit
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.graph.filtered_graph import filtered_graph, traces_graph
from fluoro_collector.query.graph.graph_minutes import MINUTE
from fluoro_collector.query.graph.statistics import Statistics
from fluoro_collector.query.graph.time_series import filtered_series, series
from fluoro_collector.query.ids import parse_trace_id

from .graph import moment, services
from .graph_pages import graph_page
from .groups import asked_group
from .request import invalid, no_token, window
from .selector import Selected, selected
from .shared import LATEST, Body, Operation, Shared
from .traces import trace_ids

LONGEST_PERIOD = 3600  # seconds of one point of a time series
HISTORY_S = 86_400  # before the range: what a forecast is made from
HISTORY_PERIOD = 300


def get_service_graph(shared: Shared, body: Body) -> Body:
    """Of all traces, or of those that match the group's expression as it is now."""
    start, end = window(body, shared.longest_graph, LATEST)
    expression = _group_expression(shared, body)
    try:
        graph = filtered_graph(shared.engine, shared.dirty, start, end, expression, shared.groups)
    except FilterError as error:
        raise _broken_group(error) from None
    listed, token = graph_page(services(graph), body)
    return {
        "StartTime": start,
        "EndTime": end,
        "Services": listed,
        "ContainsOldGroupVersions": False,  # the expression is applied when it is asked
        **token,
    }


def get_trace_graph(shared: Shared, body: Body) -> Body:
    """Traces that are not stored are left out."""
    ids = [each for name in trace_ids(body) if (each := parse_trace_id(name))]
    listed, token = graph_page(services(traces_graph(shared.engine, ids)), body)
    return {"Services": listed, **token}


def get_time_series_service_statistics(shared: Shared, body: Body) -> Body:
    """Of a node, of calls from one to another, or of the requests of all clients when there is no selector. One page."""
    start, end = window(body, shared.longest_graph, LATEST)
    expression = _group_expression(shared, body)
    no_token(body)
    period = body.get("Period", MINUTE)
    if not 0 < period <= LONGEST_PERIOD or period % MINUTE:
        raise invalid(f"Period must be a multiple of {MINUTE} seconds, at most {LONGEST_PERIOD}")
    entity = selected(body.get("EntitySelectorExpression"))
    forecast = body.get("ForecastStatistics", False)
    if forecast and entity.node is None:
        raise invalid("ForecastStatistics needs an EntitySelectorExpression that names a node")
    sums = _series(shared, start, end, period, entity, expression)
    usual = _usual(shared, start, period, entity, expression) if forecast else None
    points = []
    for time in sorted(sums):
        point = moment(time, sums[time], edge=entity.is_edge)
        if usual is not None:
            low, high = usual.band(sums[time].total)
            point["ServiceForecastStatistics"] = {"FaultCountHigh": high, "FaultCountLow": low}
        points.append(point)
    return {"TimeSeriesServiceStatistics": points, "ContainsOldGroupVersions": False}


def _series(
    shared: Shared, start: float, end: float, period: int, entity: Selected, expression: str
) -> Mapping[int, Statistics]:
    which: dict[str, Any] = {"node": entity.node, "edge": entity.edge}
    if not expression:
        return series(shared.engine, shared.dirty, start, end, period, **which)
    try:
        return filtered_series(
            shared.engine, shared.dirty, start, end, period, **which, filter_text=expression, groups=shared.groups
        )
    except FilterError as error:
        raise _broken_group(error) from None


def _usual(shared: Shared, start: float, period: int, entity: Selected, expression: str) -> Any:
    """What the day before the range says about faults; None when it was too quiet to say anything."""
    before = _series(shared, max(start - HISTORY_S, 0), start, max(period, HISTORY_PERIOD), entity, expression)
    return fit([(before[time].total, before[time].fault) for time in sorted(before)])


def _group_expression(shared: Shared, body: Body) -> str:
    """What the traces must match; "" for all."""
    group = asked_group(shared, body)
    return group.expression if group else ""


def _broken_group(error: FilterError) -> Exception:
    """A group whose expression names a group that is gone."""
    return invalid(f"the group's FilterExpression: {error}")


OPERATIONS: dict[str, Operation] = {
    "GetServiceGraph": get_service_graph,
    "GetTraceGraph": get_trace_graph,
    "GetTimeSeriesServiceStatistics": get_time_series_service_statistics,
}
