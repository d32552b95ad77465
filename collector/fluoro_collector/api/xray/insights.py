"""Operations on insights."""

from __future__ import annotations

from typing import Any

from fluoro_collector.insights import keep
from fluoro_collector.insights.insight import Event, Impact, Insight, Service
from fluoro_collector.insights.merge import links, reach
from fluoro_collector.query.graph.filtered_graph import filtered_graph
from fluoro_collector.query.graph.service_graph import node_id

from .graph import service_id
from .groups import asked_group
from .request import invalid, no_token, window
from .shared import LATEST, Body, Operation, Shared

OLDEST_S = 30 * 86_400
LONGEST_GRAPH_S = 6 * 3600.0
MOST_SUMMARIES = 100
MOST_EVENTS = 50
_CATEGORIES = ["FAULT"]  # there is no other


def get_insight_summaries(shared: Shared, body: Body) -> Body:
    """Of one group, those that were active at some time in the range; the newest first.

    InvalidRequestException: no group or an unknown one, a time more than 30 days ago, a range over 30 days.
    """
    start, end = window(body, OLDEST_S, LATEST)
    _recent(shared, body)
    group = asked_group(shared, body)
    if group is None:
        raise invalid("GroupName or GroupARN is required")
    state = (body.get("States") or [""])[0]
    most = body.get("MaxResults", MOST_SUMMARIES)
    token = body.get("NextToken", "")
    before = keep.parse_cursor(token) if token else keep.FIRST_PAGE
    if before is None:
        raise _foreign_token()
    found = keep.find(shared.engine, start, end, group=group.name, state=state, limit=most + 1, before=before)
    more = {"NextToken": keep.cursor(found[most - 1])} if len(found) > most else {}
    return {
        "InsightSummaries": [{**_insight(each), "LastUpdateTime": float(each.checked + 60)} for each in found[:most]],
        **more,
    }


def get_insight(shared: Shared, body: Body) -> Body:
    return {"Insight": _insight(_find(shared, body))}


def get_insight_events(shared: Shared, body: Body) -> Body:
    """The newest first. A token says how many older ones are left, so new events do not move the pages."""
    insight = _find(shared, body, events=True)
    most = body.get("MaxResults", MOST_EVENTS)
    token = body.get("NextToken", "")
    if token and not (token.isascii() and token.isdigit() and len(token) < 9 and 0 < int(token) <= len(insight.events)):
        raise _foreign_token()
    last = int(token) if token else len(insight.events)
    first = max(last - most, 0)
    events = [_event(each) for each in reversed(insight.events[first:last])]
    return {"InsightEvents": events, **({"NextToken": str(first)} if first else {})}


def get_insight_impact_graph(shared: Shared, body: Body) -> Body:
    """The part of the group's map that leads to the services of the insight, without figures. One page.

    InvalidRequestException: a range over six hours, a time more than 30 days ago, an insight that there is not.
    """
    insight = _find(shared, body)
    start, end = window(body, LONGEST_GRAPH_S, LATEST)
    _recent(shared, body)
    no_token(body)
    group = shared.groups.find(name=insight.group)
    expression = group.expression if group else ""
    graph = filtered_graph(shared.engine, shared.dirty, start, end, expression, shared.groups)
    keys = {node.id: (node.name, node.type) for node in graph.nodes}
    edges = [(keys[edge.source], keys[edge.target]) for edge in graph.edges]
    concerned = [each.key for each in (insight.root, *insight.touched) if node_id(each.key) in keys]
    shown = reach(concerned, links(edges, backwards=True))
    numbers = {key: number for number, key in enumerate(sorted(shown))}
    services = [
        {
            "ReferenceId": number,
            **service_id(*key),
            "Edges": [
                {"ReferenceId": numbers[target]}
                for target in sorted({target for source, target in edges if source == key and target in numbers})
            ],
        }
        for key, number in numbers.items()
    ]
    return {
        "InsightId": insight.id,
        "StartTime": start,
        "EndTime": end,
        "ServiceGraphStartTime": graph.start,
        "ServiceGraphEndTime": graph.end,
        "Services": services,
    }


def _insight(insight: Insight) -> dict[str, Any]:
    return {
        "InsightId": insight.id,
        "GroupARN": insight.group_arn,
        "GroupName": insight.group,
        "RootCauseServiceId": service_id(*insight.root),
        "Categories": _CATEGORIES,
        "State": insight.state,
        "StartTime": float(insight.start),
        **({} if insight.end is None else {"EndTime": float(insight.end)}),
        "Summary": insight.summary,
        **_impact(insight.client, insight.root_impact, insight.services),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "Summary": event.summary,
        "EventTime": float(event.time),
        **_impact(event.client, event.root_cause, event.services),
    }


def _impact(client: Impact, root: Impact, services: tuple[Service, ...]) -> dict[str, Any]:
    return {
        "ClientRequestImpactStatistics": _statistics(client),
        "RootCauseServiceRequestImpactStatistics": _statistics(root),
        "TopAnomalousServices": [{"ServiceId": service_id(*each)} for each in services],
    }


def _statistics(impact: Impact) -> dict[str, int]:
    return {"FaultCount": impact.fault, "OkCount": impact.ok, "TotalCount": impact.total}


def _find(shared: Shared, body: Body, *, events: bool = False) -> Insight:
    found = keep.find(shared.engine, id_=body["InsightId"], events=events, limit=1)
    if not found:
        raise invalid("there is no such insight")
    return found[0]


def _recent(shared: Shared, body: Body) -> None:
    # A client that asks for exactly 30 days has taken its time a moment ago.
    if body["StartTime"] < shared.now() - OLDEST_S - 60:
        raise invalid(f"StartTime cannot be more than {OLDEST_S // 86_400} days ago")


def _foreign_token() -> Exception:
    return invalid("NextToken was not given out by this operation")


OPERATIONS: dict[str, Operation] = {
    "GetInsightSummaries": get_insight_summaries,
    "GetInsight": get_insight,
    "GetInsightEvents": get_insight_events,
    "GetInsightImpactGraph": get_insight_impact_graph,
}
