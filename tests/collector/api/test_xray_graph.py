"""Groups, selectors, forecasts, samples and pages of the map and of searches; and the calls that Grafana makes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from fluoro_collector.api.xray import graph_pages
from query_server import Server
from xray_client import xray_client

TRACE = "1-{:08x}-{:024x}"


@pytest.fixture
def now() -> int:
    return int(time.time()) // 60 * 60 - 600


def request(now: int, number: int, *, table: str = "orders", path: str = "/cart", fault: bool = False) -> str:
    """A trace of one request to "web", with a call to a table."""
    call = {
        "id": f"{number:08x}00000002",
        "name": "DynamoDB",
        "namespace": "aws",
        "start_time": now + 0.1,
        "end_time": now + 0.2,
        "aws": {"table_name": table, "operation": "GetItem"},
        "fault": fault,
    }
    segment = {
        "trace_id": TRACE.format(now, number),
        "id": f"{number:08x}00000001",
        "name": "web",
        "origin": "AWS::ECS::Container",
        "start_time": now,
        "end_time": now + 0.5,
        "fault": fault,
        "http": {"request": {"url": f"http://web{path}"}},
        "subsegments": [call],
    }
    return json.dumps(segment)


Put = Callable[..., None]


@pytest.fixture
def put(running: Server, api: Any) -> Put:
    """Store segments and roll them up: what is not rolled up yet costs a search half a second."""

    def put(*documents: str) -> None:
        answer = api.put_trace_segments(TraceSegmentDocuments=list(documents))
        assert answer["UnprocessedTraceSegments"] == []
        running.state.rollup.run_once()

    return put


def counts(pages: list[dict[str, Any]]) -> dict[str, int]:
    return {
        service["Name"]: service["SummaryStatistics"]["TotalCount"]
        for page in pages
        for service in page["Services"]
        if service.get("Type") != "client"
    }


def series(api: Any, now: int, selector: str | None = None, **more: Any) -> list[dict[str, Any]]:
    window = {"StartTime": now, "EndTime": now + 120}
    asked = {**window, **({} if selector is None else {"EntitySelectorExpression": selector}), **more}
    pages = api.get_paginator("get_time_series_service_statistics").paginate(**asked)
    return [point for page in pages for point in page["TimeSeriesServiceStatistics"]]


def totals(points: list[dict[str, Any]], kind: str = "ServiceSummaryStatistics") -> list[int]:
    return [point[kind]["TotalCount"] for point in points]


# Groups


def test_the_map_and_the_series_of_a_group(api: Any, put: Put, now: int) -> None:
    put(request(now, 1), request(now, 2, path="/slow"), request(now + 60, 3, path="/slow"), request(now, 4))
    window = {"StartTime": now, "EndTime": now + 120}
    arn = api.create_group(GroupName="slow", FilterExpression='http.url ENDSWITH "/slow"')["Group"]["GroupARN"]
    api.create_group(GroupName="same", FilterExpression=f'group.arn = "{arn}"')
    for key in ({"GroupName": "slow"}, {"GroupARN": arn}, {"GroupName": "same"}):
        pages = list(api.get_paginator("get_service_graph").paginate(**window, **key))
        assert counts(pages) == {"web": 2, "orders": 2}
        assert pages[0]["ContainsOldGroupVersions"] is False
        assert pages[0]["StartTime"].timestamp() == now
    assert totals(series(api, now, 'service("web")', GroupName="slow")) == [1, 1]
    assert totals(series(api, now, GroupARN=arn), "EdgeSummaryStatistics") == [1, 1]
    assert totals(series(api, now, 'edge("web", "orders")', GroupName="same"), "EdgeSummaryStatistics") == [1, 1]
    for everything in ({}, {"GroupName": "Default"}):
        assert counts([api.get_service_graph(**window, **everything)]) == {"web": 4, "orders": 4}
        assert totals(series(api, now, 'service("web")', **everything)) == [3, 1]
    found = api.get_trace_summaries(**window, FilterExpression='group.name = "slow"')["TraceSummaries"]
    assert sorted(each["Id"] for each in found) == [TRACE.format(now, 2), TRACE.format(now + 60, 3)]


def test_a_group_that_names_a_group_that_is_gone(api: Any, now: int) -> None:
    api.create_group(GroupName="a", FilterExpression="fault")
    api.create_group(GroupName="b", FilterExpression='group.name = "a"')
    api.delete_group(GroupName="a")
    for refused in (
        lambda: api.get_service_graph(StartTime=now, EndTime=now + 60, GroupName="b"),
        lambda: series(api, now, GroupName="b"),
    ):
        with pytest.raises(api.exceptions.InvalidRequestException, match="the group's FilterExpression: there is no"):
            refused()


# Selectors


def test_what_a_selector_selects(api: Any, put: Put, now: int) -> None:
    put(request(now, 1), request(now, 2, table="carts"), request(now, 3, table="carts"))
    node, edge = "ServiceSummaryStatistics", "EdgeSummaryStatistics"
    for selector, kind, expected in (
        ('service("web")', node, 3),
        ('id(name: "web")', node, 3),
        (' ID( name: "carts", type: "AWS::DynamoDB::Table" )', node, 2),
        ('service(id(name: "web", type: "other"))', node, 0),
        ('service(id(name: "web", type: "client"))', edge, 3),
        ('edge("web", "carts")', edge, 2),
        ('edge(id(name: "web", type: "AWS::ECS::Container"), id(type: "AWS::DynamoDB::Table"))', edge, 3),
        ('edge(id(type: "client"), "web")', edge, 3),
        ('edge("web", "web")', edge, 3),
        ('edge("carts", "web")', edge, 0),
        (None, edge, 3),
    ):
        assert totals(series(api, now, selector), kind) == [expected, 0], selector


@pytest.mark.parametrize(
    "selector",
    ["service()", "fault", 'service("a") { fault }', 'edge("a", "b") { fault }', 'service("a") OR service("b")'],
)
def test_selectors_that_select_nothing(api: Any, now: int, selector: str) -> None:
    with pytest.raises(api.exceptions.InvalidRequestException, match="must name a node or an edge"):
        series(api, now, selector)


@pytest.mark.parametrize("selector", ['service(id(account.id: "1"))', 'id(name: "a", account.id: "1")'])
def test_nodes_have_no_accounts(api: Any, now: int, selector: str) -> None:
    with pytest.raises(api.exceptions.InvalidRequestException, match="account"):
        series(api, now, selector)


def test_an_empty_selector_is_refused(running: Server, now: int) -> None:
    unchecked = xray_client(running.url, validate=False)
    with pytest.raises(unchecked.exceptions.InvalidRequestException, match="EntitySelectorExpression has 0 characters"):
        series(unchecked, now, "")
    unchecked.close()


# Forecasts


def test_a_forecast_says_how_many_faults_are_usual(api: Any, put: Put, now: int) -> None:
    past = now - 7200
    put(
        *(request(past + 300 * step, 100 * step + number + 1) for step in range(24) for number in range(10)),
        *(request(now, 10_000 + number, fault=True) for number in range(20)),
    )
    first, quiet = series(api, now, 'service(id(name: "web", type: "AWS::ECS::Container"))', ForecastStatistics=True)
    expected = first["ServiceForecastStatistics"]
    assert 0 <= expected["FaultCountLow"] <= expected["FaultCountHigh"] < 20
    assert first["ServiceSummaryStatistics"]["FaultStatistics"]["TotalCount"] == 20
    assert quiet["ServiceForecastStatistics"]["FaultCountLow"] == 0
    assert all("ServiceForecastStatistics" not in point for point in series(api, now, 'service("web")'))


def test_a_service_that_was_quiet_has_no_forecast(api: Any, put: Put, now: int) -> None:
    put(request(now, 1))
    points = series(api, now, 'service("web")', ForecastStatistics=True)
    assert all("ServiceForecastStatistics" not in point for point in points)
    with pytest.raises(api.exceptions.InvalidRequestException, match="names a node"):
        series(api, now, ForecastStatistics=True)


# Searches


def ids(api: Any, **asked: Any) -> list[str]:
    pages = api.get_paginator("get_trace_summaries").paginate(**asked)
    return [each["Id"] for page in pages for each in page["TraceSummaries"]]


def test_a_sample_is_a_fixed_part_of_the_traces(api: Any, put: Put, now: int) -> None:
    put(*(request(now, number) for number in range(1, 151)))
    window = {"StartTime": now, "EndTime": now + 60, "Sampling": True}

    def sample(rate: float, **more: Any) -> set[str]:
        found = ids(api, **{**window, "SamplingStrategy": {"Name": "FixedRate", "Value": rate}, **more})
        assert len(found) == len(set(found))
        return set(found)

    everything = sample(1)
    assert len(everything) == 150
    half, tenth = sample(0.5), sample(0.1)
    assert 40 < len(half) < 110
    assert 2 < len(tenth) < 40
    assert tenth < half < everything
    assert sample(0.5, FilterExpression='service("web")') == half
    assert sample(0.5, SamplingStrategy={"Name": "PartialScan", "Value": 0.5}) == half
    assert sample(0) == set()
    assert set(ids(api, **window)) == sample(0.5, Sampling=False) == everything
    first = api.get_trace_summaries(**window, SamplingStrategy={"Name": "FixedRate", "Value": 0.5})
    assert first["TracesProcessedCount"] == 150
    for strategy in ({"Name": "FixedRate"}, {"Name": "FixedRate", "Value": 1.5}, {"Name": "FixedRate", "Value": -1}):
        with pytest.raises(api.exceptions.InvalidRequestException, match=r"SamplingStrategy\.Value"):
            api.get_trace_summaries(**window, SamplingStrategy=strategy)


def test_time_range_types(api: Any, put: Put, now: int) -> None:
    """A trace of five seconds that begins at `now`; older clients send whole seconds."""
    put(json.dumps({**json.loads(request(now, 1)), "end_time": now + 5}))

    def found(kind: str, start: int, end: int) -> bool:
        return bool(ids(api, StartTime=now + start, EndTime=now + end, TimeRangeType=kind))

    for kind, inside in (
        ("TraceId", [(0, 2), (-10, 10)]),
        ("Event", [(0, 2), (-10, 10), (2, 4), (4, 90)]),
        ("Service", [(-10, 10), (4, 90)]),
    ):
        for window in [(-90, -10), (0, 2), (-10, 10), (2, 4), (4, 90), (10, 90)]:
            assert found(kind, *window) == (window in inside), (kind, window)


# Pages


def test_a_large_map_comes_in_pages(api: Any, put: Put, now: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_pages, "PAGE", 10)
    put(*(request(now, number, table=f"table{number:02}") for number in range(1, 31)))
    window = {"StartTime": now, "EndTime": now + 60}
    pages = list(api.get_paginator("get_service_graph").paginate(**window))
    assert [len(page["Services"]) for page in pages] == [10, 10, 10, 2]
    services = [service for page in pages for service in page["Services"]]
    names = {service["ReferenceId"]: service["Name"] for service in services}
    assert len(names) == 32
    [web] = [service for service in services if service["Name"] == "web" and service["Type"] != "client"]
    assert {names[edge["ReferenceId"]] for edge in web["Edges"]} == {f"table{number:02}" for number in range(1, 31)}
    assert [
        len(page["Services"])
        for page in api.get_paginator("get_trace_graph").paginate(
            TraceIds=[TRACE.format(now, number) for number in range(1, 6)]
        )
    ] == [7]


def test_pages_are_of_one_map(api: Any, put: Put, now: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_pages, "PAGE", 3)
    put(request(now, 1), request(now, 2, table="a"), request(now, 3, table="b"))
    window = {"StartTime": now, "EndTime": now + 60}
    token = api.get_service_graph(**window)["NextToken"]
    put(request(now, 4, table="c"))
    assert len(api.get_service_graph(**window, NextToken=token)["Services"]) == 2  # as it was
    graph_pages._kept.clear()
    with pytest.raises(api.exceptions.InvalidRequestException, match="the map has changed"):
        api.get_service_graph(**window, NextToken=token)
    again = api.get_service_graph(**window)["NextToken"]
    graph_pages._kept.clear()  # another collector
    assert len(api.get_service_graph(**window, NextToken=again)["Services"]) == 3
    for wrong in ("x", f"{again}x", ".3"):
        with pytest.raises(api.exceptions.InvalidRequestException, match="NextToken"):
            api.get_service_graph(**window, NextToken=wrong)


# Grafana


def test_the_calls_of_grafana(api: Any, put: Put, now: int) -> None:
    """Health check, trace list, analytics in four windows with an adaptive sample, trace view, map, statistics, insights."""
    put(*(request(now + 60 * (number % 8), number, fault=number % 10 == 0) for number in range(1, 201)))
    window = {"StartTime": now, "EndTime": now + 480}
    assert api.get_groups()["Groups"][0]["GroupName"] == "Default"
    listed = ids(api, **window, FilterExpression='service("web")')
    assert len(listed) == 200
    total = sum(
        point["EdgeSummaryStatistics"]["TotalCount"]
        for point in api.get_time_series_service_statistics(**window)["TimeSeriesServiceStatistics"]
    )
    assert total == 200
    sampled = [
        trace
        for quarter in range(4)
        for trace in ids(
            api,
            StartTime=now + 120 * quarter,
            EndTime=now + 120 * (quarter + 1),
            TimeRangeType="Event",
            Sampling=True,
            SamplingStrategy={"Name": "FixedRate", "Value": 100 / total},
        )
    ]
    assert 60 < len(sampled) < 140
    assert set(sampled) <= set(listed)
    [trace] = api.batch_get_traces(TraceIds=[listed[0]])["Traces"]
    assert json.loads(trace["Segments"][0]["Document"])["name"] == "web"
    assert api.get_trace_graph(TraceIds=[listed[0]])["Services"]
    services = api.get_service_graph(**window, GroupName="Default")["Services"]
    assert all(service.get("SummaryStatistics") or service["Edges"][0]["SummaryStatistics"] for service in services)
    assert {service.get("AccountId") for service in services} == {None}
    group = {"GroupName": "Default", "Period": 60, "EntitySelectorExpression": 'service("web")'}
    points = api.get_time_series_service_statistics(**window, **group)["TimeSeriesServiceStatistics"]
    assert sum(point["ServiceSummaryStatistics"]["FaultStatistics"]["TotalCount"] for point in points) == 20
    assert api.get_insight_summaries(**window, GroupName="Default", States=["ACTIVE"])["InsightSummaries"] == []
