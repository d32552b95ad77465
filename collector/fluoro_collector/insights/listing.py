"""Insights as the dashboard shows them."""

from __future__ import annotations

import msgspec

from fluoro_collector.query.graph.service_graph import node_id
from fluoro_collector.store.engine import Engine

from . import keep
from .insight import Impact, Insight, Service

MOST_EVENTS = 50  # of one insight; the newest


class InsightEvent(msgspec.Struct, kw_only=True):
    """`client` and `root_cause` count what came since the event before. `services` are ids of nodes, most faults first."""

    time: float
    summary: str
    client: Impact
    root_cause: Impact
    services: list[str]


class InsightItem(msgspec.Struct, kw_only=True):
    """Times are epoch seconds; `end` is null while it is active. `root_cause` and `services` are ids of nodes of the
    service map: the deepest one whose faults left the band, and all that have. Events: the newest first.

    `usual`: the share of requests that usually fail at the root cause, 0 to 1.
    """

    id: str
    group: str
    state: str
    start: float
    end: float | None
    updated: float
    root_cause: str
    services: list[str]
    usual: float
    client: Impact
    root_cause_requests: Impact
    summary: str
    events: list[InsightEvent]


class InsightList(msgspec.Struct, kw_only=True):
    """One page, the newest start first. `cursor` asks for the next one, null = this was the last."""

    insights: list[InsightItem]
    cursor: str | None


def insight_list(
    engine: Engine,
    start: float,
    end: float,
    group: str = "",
    state: str = "",
    limit: int = 50,
    before: tuple[int, str] = keep.FIRST_PAGE,
) -> InsightList:
    """Insights that were active at some time in [start, end); of one group, or of all. `state` as in `keep.find`."""
    found = keep.find(engine, start, end, group=group, state=state, events=True, limit=limit + 1, before=before)
    cursor = keep.cursor(found[limit - 1]) if len(found) > limit else None
    return InsightList(insights=[item(each) for each in found[:limit]], cursor=cursor)


def item(insight: Insight) -> InsightItem:
    return InsightItem(
        id=insight.id,
        group=insight.group,
        state=insight.state,
        start=float(insight.start),
        end=None if insight.end is None else float(insight.end),
        updated=float(insight.checked + 60),
        root_cause=node_id(insight.root),
        services=_ids(insight.services),
        usual=insight.usual,
        client=insight.client,
        root_cause_requests=insight.root_impact,
        summary=insight.summary,
        events=[
            InsightEvent(
                time=float(event.time),
                summary=event.summary,
                client=event.client,
                root_cause=event.root_cause,
                services=_ids(event.services),
            )
            for event in reversed(insight.events[-MOST_EVENTS:])
        ],
    )


def _ids(services: tuple[Service, ...]) -> list[str]:
    return [node_id(each) for each in services]
