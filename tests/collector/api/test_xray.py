"""The X-Ray API as boto3 sees it: every answer is parsed by botocore's own service model."""

from __future__ import annotations

import datetime as dt
import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from query_server import Server

TRACE = "1-{:08x}-{:024x}"


@pytest.fixture
def now() -> int:
    return int(time.time()) - 60


def put(xray: Any, *documents: dict[str, Any] | str) -> list[dict[str, Any]]:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in documents]
    return xray.put_trace_segments(TraceSegmentDocuments=texts)["UnprocessedTraceSegments"]


def web(now: int, number: int = 1, **more: Any) -> dict[str, Any]:
    """A segment that called a table (nested) and a service that sends no segments."""
    return {
        "trace_id": TRACE.format(now, number),
        "id": f"{number:08x}00000001",
        "name": "web",
        "start_time": now + number / 1000,
        "end_time": now + number / 1000 + 0.2,
        "origin": "AWS::ECS::Container",
        "http": {"request": {"method": "GET", "url": "http://web/cart"}, "response": {"status": 200}},
        "annotations": {"order": "A-1", "items": 3, "gift": True},
        "user": "bob",
        "subsegments": [
            {
                "id": f"{number:08x}00000002",
                "name": "DynamoDB",
                "namespace": "aws",
                "start_time": now + number / 1000 + 0.01,
                "end_time": now + number / 1000 + 0.05,
                "aws": {"table_name": "orders", "operation": "PutItem"},
            }
        ],
        **more,
    }


def lone(now: int, number: int = 1) -> dict[str, Any]:
    return {
        "type": "subsegment",
        "trace_id": TRACE.format(now, number),
        "id": f"{number:08x}00000003",
        "parent_id": f"{number:08x}00000001",
        "name": "api.example.org",
        "namespace": "remote",
        "fault": True,
        "start_time": now + number / 1000 + 0.05,
        "end_time": now + number / 1000 + 0.1,
    }


def test_one_bad_document_does_not_harm_the_others(xray: Any, now: int) -> None:
    nameless = web(now, 2)
    del nameless["name"]
    unprocessed = put(xray, web(now), "{not json", nameless)
    assert [each["ErrorCode"] for each in unprocessed] == ["InvalidSegment", "MissingName"]
    assert unprocessed[1]["Id"] == "0000000200000001"
    assert all(each["Message"] for each in unprocessed)
    assert len(xray.batch_get_traces(TraceIds=[TRACE.format(now, 1)])["Traces"]) == 1


def test_batch_get_traces_folds_lone_subsegments_and_infers_segments(xray: Any, now: int) -> None:
    put(xray, lone(now), web(now))
    known, unknown = TRACE.format(now, 1), TRACE.format(now, 9)
    answer = xray.batch_get_traces(TraceIds=[known, unknown, "nonsense"])
    assert answer["UnprocessedTraceIds"] == [unknown, "nonsense"]
    [trace] = answer["Traces"]
    assert trace["Id"] == known
    assert trace["Duration"] == pytest.approx(0.2)
    assert trace["LimitExceeded"] is False
    documents = [json.loads(each["Document"]) for each in trace["Segments"]]
    assert [each["Id"] for each in trace["Segments"]] == [each["id"] for each in documents]
    entry = documents[0]
    assert entry["id"] == "0000000100000001"
    assert [each["id"] for each in entry["subsegments"]] == ["0000000100000002", "0000000100000003"]
    assert entry["annotations"] == {"order": "A-1", "items": 3, "gift": True}
    assert [(each["name"], each["parent_id"], each.get("origin")) for each in documents[1:]] == [
        ("orders", "0000000100000002", "AWS::DynamoDB::Table"),
        ("api.example.org", "0000000100000003", None),
    ]
    assert all(each["inferred"] for each in documents[1:])
    assert documents[2]["fault"] is True


def test_more_than_five_traces_are_refused(xray: Any, now: int) -> None:
    with pytest.raises(xray.exceptions.InvalidRequestException, match="at most 5"):
        xray.batch_get_traces(TraceIds=[TRACE.format(now, number) for number in range(6)])


def test_the_batch_paginator_ends(xray: Any, now: int) -> None:
    put(xray, web(now))
    pages = xray.get_paginator("batch_get_traces").paginate(TraceIds=[TRACE.format(now, 1)])
    assert [len(page["Traces"]) for page in pages] == [1]


def test_the_service_graph(xray: Any, now: int) -> None:
    put(xray, web(now), lone(now))
    pages = list(xray.get_paginator("get_service_graph").paginate(StartTime=now - 60, EndTime=now + 60))
    assert len(pages) == 1
    assert pages[0]["StartTime"].timestamp() == now - 60
    services = {(each["Name"], each.get("Type")): each for each in pages[0]["Services"]}
    assert set(services) == {
        ("web", "AWS::ECS::Container"),
        ("web", "client"),
        ("orders", "AWS::DynamoDB::Table"),
        ("api.example.org", "remote"),
    }
    entry = services["web", "AWS::ECS::Container"]
    assert entry["Root"] is True
    assert entry["State"] == "active"
    assert entry["SummaryStatistics"]["TotalCount"] == entry["SummaryStatistics"]["OkCount"] == 1
    assert entry["SummaryStatistics"]["TotalResponseTime"] == pytest.approx(0.2)
    assert sum(each["Count"] for each in entry["ResponseTimeHistogram"]) == 1
    references = {each["ReferenceId"]: key for key, each in services.items()}
    called = {references[edge["ReferenceId"]]: edge for edge in entry["Edges"]}
    assert set(called) == {("orders", "AWS::DynamoDB::Table"), ("api.example.org", "remote")}
    assert called["api.example.org", "remote"]["SummaryStatistics"]["FaultStatistics"]["TotalCount"] == 1
    client = services["web", "client"]
    assert "SummaryStatistics" not in client
    assert [references[edge["ReferenceId"]] for edge in client["Edges"]] == [("web", "AWS::ECS::Container")]


def test_time_series_of_a_node_and_of_all_clients(xray: Any, now: int) -> None:
    put(xray, web(now, 1), web(now, 2, error=True, throttle=True), lone(now, 2))
    minute = now // 60 * 60
    window = {"StartTime": minute, "EndTime": minute + 120, "Period": 60}
    for selector, member in (
        ({}, "EdgeSummaryStatistics"),
        (
            {"EntitySelectorExpression": 'service(id(name: "web", type: "AWS::ECS::Container"))'},
            "ServiceSummaryStatistics",
        ),
    ):
        pages = list(xray.get_paginator("get_time_series_service_statistics").paginate(**window, **selector))
        points = [point for page in pages for point in page["TimeSeriesServiceStatistics"]]
        assert [point["Timestamp"].timestamp() - minute for point in points] == [0, 60]
        first, empty = (point[member] for point in points)
        assert (first["TotalCount"], first["OkCount"], first["ErrorStatistics"]["ThrottleCount"]) == (2, 1, 1)
        assert first["TotalResponseTime"] == pytest.approx(0.4)
        assert sum(each["Count"] for each in points[0]["ResponseTimeHistogram"]) == 2
        assert empty["TotalCount"] == 0
    table = 'service(id(name: "api.example.org", type: "remote"))'
    answer = xray.get_time_series_service_statistics(**window, EntitySelectorExpression=table)
    assert answer["TimeSeriesServiceStatistics"][0]["ServiceSummaryStatistics"]["FaultStatistics"]["TotalCount"] == 1


def test_the_graph_of_one_trace(xray: Any, now: int) -> None:
    put(xray, web(now, 1), web(now, 2), lone(now, 2))
    pages = list(xray.get_paginator("get_trace_graph").paginate(TraceIds=[TRACE.format(now, 1)]))
    services = {each["Name"]: each for each in pages[0]["Services"] if each.get("Type") != "client"}
    assert set(services) == {"web", "orders"}
    assert services["web"]["SummaryStatistics"]["TotalCount"] == 1


def test_trace_summaries_page_newest_first(xray: Any, now: int) -> None:
    put(xray, *(web(now, number) for number in range(1, 121)))
    window = {"StartTime": dt.datetime.fromtimestamp(now - 5, dt.timezone.utc), "EndTime": now + 5}
    pages = list(xray.get_paginator("get_trace_summaries").paginate(**window))
    assert [len(page["TraceSummaries"]) for page in pages] == [100, 20]
    ids = [each["Id"] for page in pages for each in page["TraceSummaries"]]
    assert ids == [TRACE.format(now, number) for number in range(120, 0, -1)]


def test_a_trace_summary(xray: Any, now: int) -> None:
    put(xray, web(now), lone(now))
    answer = xray.get_trace_summaries(
        StartTime=now - 5,
        EndTime=now + 5,
        TimeRangeType="Event",
        Sampling=True,
        SamplingStrategy={"Name": "FixedRate", "Value": 1},
        FilterExpression='annotation.order = "A-1" AND service("orders") AND user = "bob"',
    )
    assert answer["TracesProcessedCount"] == 1
    [found] = answer["TraceSummaries"]
    assert found["ResponseTime"] == pytest.approx(0.2)
    assert (found["HasFault"], found["HasError"], found["HasThrottle"], found["IsPartial"]) == (False,) * 4
    assert found["Http"] == {"HttpURL": "http://web/cart", "HttpStatus": 200, "HttpMethod": "GET"}
    values = {key: entries[0]["AnnotationValue"] for key, entries in found["Annotations"].items()}
    assert values == {"order": {"StringValue": "A-1"}, "items": {"NumberValue": 3.0}, "gift": {"BooleanValue": True}}
    assert [each["UserName"] for each in found["Users"]] == ["bob"]
    assert {(each["Name"], each.get("Type")) for each in found["ServiceIds"]} == {
        ("web", "client"),
        ("web", "AWS::ECS::Container"),
        ("orders", "AWS::DynamoDB::Table"),
        ("api.example.org", "remote"),
    }
    assert found["EntryPoint"]["Type"] == "AWS::ECS::Container"
    assert found["ErrorRootCauses"] == found["ResourceARNs"] == []
    [cause] = found["FaultRootCauses"]
    assert cause["ClientImpacting"] is False
    assert [(each["Name"], each["Inferred"]) for each in cause["Services"]] == [
        ("web", False),
        ("api.example.org", True),
    ]


@pytest.mark.parametrize(
    ("operation", "members", "text"),
    [
        ("get_service_graph", {"StartTime": 10, "EndTime": 10}, "EndTime must be later"),
        ("get_service_graph", {"StartTime": 0, "EndTime": 7 * 3600}, "longer than 6 hours"),
        ("get_service_graph", {"StartTime": 0, "EndTime": 60, "NextToken": "x"}, "NextToken"),
        ("get_service_graph", {"StartTime": 0, "EndTime": 60, "GroupName": "slow"}, "there is no group"),
        ("get_trace_summaries", {"StartTime": 0, "EndTime": 60, "NextToken": "x"}, "NextToken"),
        ("get_time_series_service_statistics", {"StartTime": 0, "EndTime": 60, "Period": 61}, "multiple of 60"),
        (
            "get_time_series_service_statistics",
            {"StartTime": 0, "EndTime": 60, "EntitySelectorExpression": 'service("a") AND service("b")'},
            "must name a node or an edge",
        ),
        (
            "get_time_series_service_statistics",
            {"StartTime": 0, "EndTime": 60, "EntitySelectorExpression": "service("},
            "position 8",
        ),
        ("get_insight_summaries", {"StartTime": 60, "EndTime": 60}, "EndTime must be later"),
        ("get_trace_summaries", {"StartTime": 0, "EndTime": 60, "FilterExpression": "fault ="}, "position 7"),
        (
            "get_trace_summaries",
            {"StartTime": 0, "EndTime": 60, "FilterExpression": 'group.name = "a"'},
            "there is no group",
        ),
    ],
)
def test_wrong_input_is_an_invalid_request(xray: Any, operation: str, members: dict[str, Any], text: str) -> None:
    with pytest.raises(xray.exceptions.InvalidRequestException, match=text):
        getattr(xray, operation)(**members)


def test_every_path_of_the_service_model_is_answered(server: Server, xray: Any) -> None:
    model = xray.meta.service_model
    paths = {model.operation_model(name).http["requestUri"] for name in model.operation_names}
    for path in sorted(paths):
        status, kind, body = post(server.url + path)
        assert isinstance(body, dict)
        if status != 200:
            assert status in (400, 404)
            assert set(body) == {"__type", "message"}, path
            assert kind == body["__type"]


def post(url: str) -> tuple[int, str | None, Any]:
    """Status, x-amzn-ErrorType and JSON of an empty request."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=b"{}", method="POST"), timeout=30) as answer:
            return answer.status, None, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["x-amzn-ErrorType"], json.load(error)


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"TraceSegmentDocuments": "x"}', b'{"TraceSegmentDocuments": [1]}'])
def test_a_body_that_is_no_request_is_counted_once(server: Server, body: bytes) -> None:
    request = urllib.request.Request(f"{server.url}/TraceSegments", data=body, method="POST")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=30)
    with raised.value as error:
        assert error.code == 400
        assert json.load(error)["message"]
    door = server.state.counters.door("xray-http")
    assert (door.received, sum(door.rejected.values()), door.in_flight) == (1, 1, 0)
