"""The four operations on insights as boto3 calls them: shapes, pages, limits, errors."""

from __future__ import annotations

import re
import time
from typing import Any

import botocore.exceptions
import pytest

from fault_traffic import DATABASE, ORDERS, feed
from fluoro_collector.insights import keep
from fluoro_collector.insights.insight import Event, Impact, Insight, Service, insight_id
from fluoro_collector.insights.watch import LAG_S, Watch
from fluoro_collector.query.graph.outcomes import Source, oldest_minute, source
from fluoro_collector.query.groups import Group, Groups
from query_server import Server

DAY = 86_400
MINUTE = 60
NOBODY = "00000000-0000-5000-8000-000000000000"
# What the service model wants an id to look like.
ID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"


@pytest.fixture
def now() -> int:
    return int(time.time()) // 3600 * 3600


def insight(start: int, name: str = "web", **more: Any) -> Insight:
    root = Service(name, "")
    fields = {"checked": start + 600, "out": start + 540, "usual": 0.01, "services": (root,), "touched": (root,)}
    fields |= {
        "group": "Default",
        "group_arn": "arn:aws:xray:local:000000000000:group/Default",
        "summary": "It failed.",
    }
    fields |= {"root": root, "id": insight_id("Default", root, start)}
    return Insight(start=start, **(fields | more))


def refused(call: Any, **asked: Any) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**asked)
    assert error.value.response["Error"]["Code"] == "InvalidRequestException"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error.value.response["Error"]["Message"]


def test_ids_are_uuids_of_what_they_name() -> None:
    one = insight_id("Default", Service("web", ""), 60)
    assert re.fullmatch(ID, one)
    others = [
        ("Other", Service("web", ""), 60),
        ("Default", Service("web", "x"), 60),
        ("Default", Service("web", ""), 120),
    ]
    assert len({one, *(insight_id(*each) for each in others)}) == 4


def test_summaries_in_pages(server: Server, xray: Any, now: int) -> None:
    made = [
        insight(now - number * 3600, end=now - number * 3600 + 600 if number % 2 else None) for number in range(1, 6)
    ]
    keep.save(server.state.store.engine, [*made, insight(now - 7200, "other", group="other")])
    asked = {"GroupName": "Default", "StartTime": now - DAY, "EndTime": now}
    pages = [xray.get_insight_summaries(**asked, MaxResults=2)]
    while "NextToken" in pages[-1]:
        pages.append(xray.get_insight_summaries(**asked, MaxResults=2, NextToken=pages[-1]["NextToken"]))
    listed = [each for page in pages for each in page["InsightSummaries"]]
    assert [len(page["InsightSummaries"]) for page in pages] == [2, 2, 1]
    assert [each["InsightId"] for each in listed] == [each.id for each in made]
    arn = listed[0]["GroupARN"]
    by_arn = {"GroupARN": arn, "StartTime": now - DAY, "EndTime": now}
    active = xray.get_insight_summaries(**by_arn, States=["ACTIVE"])["InsightSummaries"]
    assert [each["InsightId"] for each in active] == [made[1].id, made[3].id]
    assert len(xray.get_insight_summaries(**asked, States=[])["InsightSummaries"]) == 5
    early = xray.get_insight_summaries(GroupName="Default", StartTime=now - DAY, EndTime=now - 4 * 3600 + 1)
    assert [each["InsightId"] for each in early["InsightSummaries"]] == [made[3].id, made[4].id]


def test_what_summaries_refuse(xray: Any, now: int) -> None:
    call = xray.get_insight_summaries
    range_ = {"StartTime": now - DAY, "EndTime": now}
    assert refused(call, **range_) == "GroupName or GroupARN is required"
    assert "there is no group" in refused(call, **range_, GroupName="nobody")
    group = {"GroupName": "Default"}
    assert "later than StartTime" in refused(call, **group, StartTime=now, EndTime=now)
    assert "720 hours" in refused(call, **group, StartTime=now - 31 * DAY, EndTime=now)
    assert "30 days ago" in refused(call, **group, StartTime=now - 32 * DAY, EndTime=now - 20 * DAY)
    assert "NextToken" in refused(call, **group, **range_, NextToken="somebody's")
    at = int(time.time())
    assert xray.get_insight_summaries(**group, StartTime=at - 30 * DAY, EndTime=at)["InsightSummaries"] == []


def test_events_newest_first_in_pages(server: Server, xray: Any, now: int) -> None:
    events = tuple(Event(now - 600 + number, f"event {number}", Impact(), Impact(), ()) for number in range(120))
    made = insight(now - 3600, events=events)
    keep.save(server.state.store.engine, [made])
    first = xray.get_insight_events(InsightId=made.id)
    assert [each["Summary"] for each in first["InsightEvents"]] == [f"event {number}" for number in range(119, 69, -1)]
    # An event that comes meanwhile moves nothing.
    keep.save(server.state.store.engine, [insight(now - 3600, events=(*events, events[0]))])
    second = xray.get_insight_events(InsightId=made.id.upper(), NextToken=first["NextToken"], MaxResults=20)
    assert [each["Summary"] for each in second["InsightEvents"]] == [f"event {number}" for number in range(69, 49, -1)]
    last = xray.get_insight_events(InsightId=made.id, NextToken=second["NextToken"])
    assert [each["Summary"] for each in last["InsightEvents"]] == [f"event {number}" for number in range(49, -1, -1)]
    assert "NextToken" not in last
    for token in ("0", "122", "x", "²"):
        assert "NextToken" in refused(xray.get_insight_events, InsightId=made.id, NextToken=token)


def test_an_insight_that_there_is_not(xray: Any, now: int) -> None:
    range_ = {"StartTime": now - 3600, "EndTime": now}
    assert refused(xray.get_insight, InsightId=NOBODY) == "there is no such insight"
    assert refused(xray.get_insight_events, InsightId=NOBODY) == "there is no such insight"
    assert refused(xray.get_insight_impact_graph, InsightId=NOBODY, **range_) == "there is no such insight"


def test_a_group_with_an_expression_and_impact_graphs(server: Server, xray: Any, now: int) -> None:
    """Only the group whose traces go through the failing service sees it; Default is not watched."""
    state, begin = server.state, now - 4 * 3600

    def plan(minute: int) -> tuple[int, int, int, int]:
        return (4, 0, 0, 0) if minute < 80 else (10, 5, 0, 0)

    feed(state.store, state.rollup, begin, 85, plan)
    switched = {"InsightsEnabled": True}
    xray.create_group(GroupName="shop", FilterExpression='service("orders")', InsightsConfiguration=switched)
    xray.create_group(GroupName="mail", FilterExpression='service("mail")', InsightsConfiguration=switched)
    groups, engine = Groups(state.configuration), state.store.engine

    def of(group: Group) -> Source:
        return source(engine, state.rollup.dirty, group.expression, groups)

    watch = Watch(engine, groups.all, of, lambda: begin + 85 * MINUTE + LAG_S, lambda: oldest_minute(engine))
    watch.run_once()
    range_ = {"StartTime": begin, "EndTime": now}
    (found,) = xray.get_insight_summaries(GroupName="shop", **range_)["InsightSummaries"]
    assert found["RootCauseServiceId"]["Name"] == DATABASE[0]
    assert found["ClientRequestImpactStatistics"] == {"FaultCount": 25, "OkCount": 25, "TotalCount": 50}
    assert found["GroupARN"] == xray.get_group(GroupName="shop")["Group"]["GroupARN"]
    for name in ("mail", "Default"):
        assert xray.get_insight_summaries(GroupName=name, **range_)["InsightSummaries"] == []
    graph = xray.get_insight_impact_graph(InsightId=found["InsightId"], StartTime=begin, EndTime=begin + 85 * MINUTE)
    assert {each["Name"] for each in graph["Services"]} == {"web", ORDERS[0], DATABASE[0]}
    check_impact_graph(server, xray, begin, now)


def check_impact_graph(server: Server, xray: Any, start: int, now: int) -> None:
    """Of an insight of Default: all that leads to its services and nothing beside."""
    orders = Service(*ORDERS)
    made = insight(start, root=orders, services=(orders,), touched=(orders,))
    keep.save(server.state.store.engine, [made])
    asked = {"InsightId": made.id, "StartTime": start, "EndTime": start + 600}
    graph = xray.get_insight_impact_graph(**asked)
    services = {(each["Name"], each.get("Type", "")): each for each in graph["Services"]}
    assert set(services) == {("web", "client"), ("web", ""), ORDERS}
    numbers = {key: each["ReferenceId"] for key, each in services.items()}
    assert services["web", "client"]["Edges"] == [{"ReferenceId": numbers["web", ""]}]
    assert services["web", ""]["Edges"] == [{"ReferenceId": numbers[ORDERS]}]
    assert services[ORDERS]["Edges"] == []
    assert services[ORDERS]["Names"] == [ORDERS[0]]
    assert graph["InsightId"] == made.id
    assert (graph["ServiceGraphStartTime"].timestamp(), graph["ServiceGraphEndTime"].timestamp()) == (
        start,
        start + 600,
    )
    empty = xray.get_insight_impact_graph(**{**asked, "StartTime": start - 3600, "EndTime": start - 1800})
    assert empty["Services"] == []
    call = xray.get_insight_impact_graph
    assert "6 hours" in refused(call, **{**asked, "EndTime": start + 6 * 3600 + 1})
    assert "30 days ago" in refused(call, **{**asked, "StartTime": now - 31 * DAY, "EndTime": now - 31 * DAY + 60})
    assert "NextToken" in refused(call, **asked, NextToken="x")
