"""Retrieval jobs as boto3 runs them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.config
import pytest

from fluoro.model import Cause, ExceptionRecord, Http, Kind, Link, Resource, Segment, Sql
from fluoro_collector.api.xray import retrieval
from fluoro_collector.api.xray.otel_spans import to_span
from fluoro_collector.query.ids import format_trace_id
from fluoro_collector.store.segments import Row
from query_server import Server
from query_store import BASE, SECOND

AT = BASE * SECOND
WINDOW = {"StartTime": BASE - 60, "EndTime": BASE + 60}
WEB = Resource(service_name="web", service_version="2", environment="prod", host="h1", attributes={"os.type": "linux"})


def trace_id(number: int) -> bytes:
    return BASE.to_bytes(4, "big") + number.to_bytes(12, "big")


def name(number: int) -> str:
    return format_trace_id(trace_id(number))


@pytest.fixture
def xray(server: Server) -> Iterator[Any]:
    config = botocore.config.Config(retries={"total_max_attempts": 1}, proxies={})
    keys = {"aws_access_key_id": "dummy", "aws_secret_access_key": "dummy"}
    client = boto3.client("xray", endpoint_url=server.url, region_name="eu-central-1", config=config, **keys)
    yield client
    client.close()


def fill(server: Server, number: int, count: int = 3) -> None:
    """A root and calls that nobody answers."""
    trace = trace_id(number)
    link = Link(trace_id(999), 5)
    root = Segment(trace, 1, 0, "web", AT + number, AT + SECOND, Kind.SERVER, links=[link])
    calls = [
        Segment(trace, each, 1, "orders", AT + each, AT + SECOND, Kind.CLIENT, True, "remote")
        for each in range(2, count + 1)
    ]
    server.insert(WEB, [root, *calls])


def listed(xray: Any, token: str, **more: Any) -> list[dict[str, Any]]:
    pages = [xray.list_retrieved_traces(RetrievalToken=token, **more)]
    while following := pages[-1].get("NextToken"):
        pages.append(xray.list_retrieved_traces(RetrievalToken=token, NextToken=following, **more))
    assert {page["RetrievalStatus"] for page in pages} == {"COMPLETE"}
    for page in pages:
        assert len(page["Traces"]) <= 5
        assert all(len(trace["Spans"]) <= 100 for trace in page["Traces"])
    return pages


def test_traces_are_listed_five_at_a_time(server: Server, xray: Any) -> None:
    for number in range(12):
        fill(server, number)
    ids = [name(number) for number in range(12)]
    token = xray.start_trace_retrieval(TraceIds=[*ids, name(77), "nonsense", ids[0]], **WINDOW)["RetrievalToken"]
    pages = listed(xray, token)
    assert [trace["Id"] for page in pages for trace in page["Traces"]] == ids
    assert pages[0]["TraceFormat"] == "XRAY"
    [*_, last] = [trace for page in pages for trace in page["Traces"]]
    documents = [json.loads(span["Document"]) for span in last["Spans"]]
    assert [each["name"] for each in documents] == ["web", "orders", "orders"]
    assert [each.get("inferred", False) for each in documents] == [False, True, True]
    assert len(documents[0]["subsegments"]) == 2


@pytest.mark.parametrize("form", ["XRAY", "OTEL"])
def test_a_large_trace_goes_on_in_the_next_answer(server: Server, xray: Any, form: str) -> None:
    fill(server, 1, 230)
    fill(server, 2)
    token = xray.start_trace_retrieval(TraceIds=[name(1), name(2)], **WINDOW)["RetrievalToken"]
    pages = listed(xray, token, TraceFormat=form)
    assert len(pages) >= 3
    spans = [span for page in pages for trace in page["Traces"] if trace["Id"] == name(1) for span in trace["Spans"]]
    assert len(spans) == len({span["Id"] for span in spans})
    found = [json.loads(span["Document"]) for span in spans]
    if form == "OTEL":
        assert sorted(int(each["spanId"], 16) for each in found) == list(range(1, 231))
    else:
        assert sum(bool(each.get("inferred")) for each in found) == 229
        own = [each for each in found if not each.get("inferred")]
        assert sum(1 + len(each.get("subsegments", ())) for each in own) == 230
    assert pages[-1]["Traces"][-1]["Id"] == name(2)


def test_a_trace_outside_the_window_is_not_retrieved(server: Server, xray: Any) -> None:
    fill(server, 1)
    token = xray.start_trace_retrieval(TraceIds=[name(1)], StartTime=BASE + 60, EndTime=BASE + 120)["RetrievalToken"]
    assert listed(xray, token)[0]["Traces"] == []


def test_the_graph_of_retrieved_traces(server: Server, xray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(server, 1)
    fill(server, 2)
    token = xray.start_trace_retrieval(TraceIds=[name(1)], **WINDOW)["RetrievalToken"]
    monkeypatch.setattr(retrieval, "SERVICES", 2)
    first = xray.get_retrieved_traces_graph(RetrievalToken=token)
    second = xray.get_retrieved_traces_graph(RetrievalToken=token, NextToken=first["NextToken"])
    assert "NextToken" not in second
    services = {
        (each["Service"]["Name"], each["Service"].get("Type")): each for each in first["Services"] + second["Services"]
    }
    assert set(services) == {("web", "client"), ("web", None), ("orders", "remote")}
    assert services["web", None]["Service"]["SummaryStatistics"]["TotalCount"] == 1
    assert services["web", None]["Links"] == [
        {"ReferenceType": "LINK", "SourceTraceId": name(1), "DestinationTraceIds": [name(999)]}
    ]
    assert services["web", "client"]["Links"] == []


def test_a_cancelled_job_lists_nothing(server: Server, xray: Any) -> None:
    fill(server, 1)
    token = xray.start_trace_retrieval(TraceIds=[name(1)], **WINDOW)["RetrievalToken"]
    xray.cancel_trace_retrieval(RetrievalToken=token)
    answer = xray.list_retrieved_traces(RetrievalToken=token)
    assert (answer["RetrievalStatus"], answer["Traces"]) == ("CANCELLED", [])
    assert xray.get_retrieved_traces_graph(RetrievalToken=token)["RetrievalStatus"] == "CANCELLED"


def test_a_job_ends_after_an_hour_and_is_forgotten(server: Server, xray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(server, 1)
    token = xray.start_trace_retrieval(TraceIds=[name(1)], **WINDOW)["RetrievalToken"]
    monkeypatch.setattr(retrieval, "TIMEOUT_S", -1)
    now = time.time()
    kept = {"began": now, "cancelled": False}
    assert retrieval._status(kept, now) == "TIMEOUT"
    monkeypatch.setattr(retrieval, "TIMEOUT_S", -3600)
    with pytest.raises(xray.exceptions.ResourceNotFoundException):
        xray.list_retrieved_traces(RetrievalToken=token)
    xray.start_trace_retrieval(TraceIds=[], **WINDOW)
    with server.state.configuration.edit("retrieval") as edit:
        assert token not in edit.documents.by_name


def test_open_jobs_are_bounded(server: Server, xray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "MAX_JOBS", 2)
    with server.state.configuration.edit("retrieval") as edit:
        for job in list(edit.documents.by_name):
            edit.delete(job)
    token = xray.start_trace_retrieval(TraceIds=[], **WINDOW)["RetrievalToken"]
    xray.start_trace_retrieval(TraceIds=[], **WINDOW)
    with pytest.raises(xray.exceptions.ThrottledException):
        xray.start_trace_retrieval(TraceIds=[], **WINDOW)
    xray.cancel_trace_retrieval(RetrievalToken=token)
    assert xray.start_trace_retrieval(TraceIds=[], **WINDOW)["RetrievalToken"]


@pytest.mark.parametrize("operation", ["list_retrieved_traces", "get_retrieved_traces_graph", "cancel_trace_retrieval"])
def test_an_unknown_job_is_not_found(xray: Any, operation: str) -> None:
    with pytest.raises(xray.exceptions.ResourceNotFoundException):
        getattr(xray, operation)(RetrievalToken="0" * 32)


def test_a_page_of_another_job_is_refused(server: Server, xray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "TRACES", 1)
    for number in (1, 2):
        fill(server, number)
    tokens = [xray.start_trace_retrieval(TraceIds=[name(1), name(2)], **WINDOW)["RetrievalToken"] for _ in range(2)]
    following = xray.list_retrieved_traces(RetrievalToken=tokens[0])["NextToken"]
    for token in (following, "x", "é"):
        with pytest.raises(xray.exceptions.InvalidRequestException, match="NextToken"):
            xray.list_retrieved_traces(RetrievalToken=tokens[1], NextToken=token)


def test_a_segment_as_a_span() -> None:
    segment = Segment(trace_id(1), 2, 1, "shop@db", AT, AT + SECOND, Kind.CLIENT, True, "remote", "SELECT", fault=True)
    segment.sql = Sql(database_type="PostgreSQL", query="SELECT ?")
    segment.annotations = {"order": "A-1"}
    segment.metadata = {"default": {"note": 1}, "own": {"note": 2}}
    segment.aws = {"region": "eu-central-1"}
    segment.http = Http(status=200)
    segment.cause = Cause([ExceptionRecord(type="OSError", message="refused")])
    segment.links = [Link(trace_id(3), 9)]
    span = to_span(Row(segment, 0, "web", "shop@db", "Database::SQL", 0), WEB)
    assert span["resource"]["attributes"] == {
        "service.name": "web",
        "service.version": "2",
        "deployment.environment.name": "prod",
        "host.name": "h1",
        "os.type": "linux",
    }
    assert (span["traceId"], span["spanId"], span["parentSpanId"]) == (trace_id(1).hex(), f"{2:016x}", f"{1:016x}")
    assert (span["name"], span["kind"], span["durationNano"]) == ("SELECT", "CLIENT", SECOND)
    assert span["attributes"] == {
        "note": 1,
        "own.note": 2,
        "aws.region": "eu-central-1",
        "order": "A-1",
        "aws.xray.segment.name": "shop@db",
        "peer.service": "shop@db",
        "http.response.status_code": 200,
        "db.system.name": "PostgreSQL",
        "db.query.text": "SELECT ?",
    }
    assert span["status"] == {"code": "ERROR", "message": "refused"}
    assert [event["attributes"]["exception.type"] for event in span["events"]] == ["OSError"]
    assert span["links"] == [{"traceId": trace_id(3).hex(), "spanId": f"{9:016x}", "attributes": {}}]


def test_a_span_that_is_too_long_says_what_it_lost(server: Server, xray: Any) -> None:
    root = Segment(trace_id(1), 1, 0, "web", AT, AT + SECOND, metadata={"default": {"large": "x" * 300_000}})
    server.insert(WEB, [root])
    token = xray.start_trace_retrieval(TraceIds=[name(1)], **WINDOW)["RetrievalToken"]
    for form in ("OTEL", "XRAY"):
        [page] = listed(xray, token, TraceFormat=form)
        [span] = page["Traces"][0]["Spans"]
        assert len(span["Document"]) < 1000
        assert "trimmed" in span["Document"]
