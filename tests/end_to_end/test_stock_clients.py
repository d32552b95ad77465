"""Three stock clients on one map: opentelemetry-sdk (gRPC and HTTP), aws-xray-sdk (UDP), and boto3 reads it back.

One request goes through all of them: `web` (OTLP/gRPC) calls `orders` (OTLP/HTTP) calls `payment` (X-Ray SDK), which
writes to DynamoDB. None of the programs knows fluoro; each is told an address by its SDK's own environment variable.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import boto3
import pytest

from collector_process import Collector, environment, start_collector

WEB = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.EXPORTER.trace_exporter import OTLPSpanExporter
from opentelemetry.trace import SpanKind
from opentelemetry.propagate import extract, inject
import sys

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("stock")
parent = extract({"traceparent": sys.argv[1]} if len(sys.argv) > 1 else {})
attributes = {"http.request.method": "POST", "url.path": "/checkout", "http.response.status_code": 200}
with tracer.start_as_current_span("POST /checkout", parent, SpanKind.SERVER, attributes):
    attributes = {"http.request.method": "POST", "url.full": "http://NEXT/pay", "server.address": "NEXT"}
    with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes=attributes):
        carrier = {}
        inject(carrier)
        print(carrier["traceparent"])
provider.shutdown()
"""

PAYMENT = """
import sys
from aws_xray_sdk.core import xray_recorder

_, trace_id, parent_id, _ = sys.argv[1].split("-")
xray_recorder.configure(service="payment", sampling=False)
segment = xray_recorder.begin_segment("payment", f"1-{trace_id[:8]}-{trace_id[8:]}", parent_id, 1)
segment.put_http_meta("method", "POST")
segment.put_http_meta("url", "http://payment/pay")
segment.put_http_meta("status", 500)
segment.put_annotation("order", "o-17")
subsegment = xray_recorder.begin_subsegment("DynamoDB", "aws")
subsegment.set_aws({"operation": "PutItem", "table_name": "payments", "region": "eu-west-1"})
xray_recorder.end_subsegment()
xray_recorder.end_segment()
"""


def program(source: str, *arguments: str, **variables: str) -> str:
    """Run a stock client; what it prints."""
    variables = {"PYTHONWARNINGS": "ignore", **variables}
    result = subprocess.run(
        [sys.executable, "-c", source, *arguments],
        env={**environment(), "PYTHONPATH": "", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr, result.stderr
    return result.stdout.strip()


def opentelemetry(exporter: str, following: str) -> str:
    return WEB.replace("EXPORTER", exporter).replace("NEXT", following)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(collector, trace id in X-Ray's form) after one request went through the three programs."""
    with start_collector(tmp_path_factory.mktemp("data")) as collector:
        grpc = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.grpc}", "OTEL_SERVICE_NAME": "web"}
        first = program(opentelemetry("grpc", "orders"), **grpc)
        http = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.http, "OTEL_SERVICE_NAME": "orders"}
        second = program(opentelemetry("http", "payment"), first, **http)
        program(PAYMENT, second, AWS_XRAY_DAEMON_ADDRESS=collector.xray)
        ledger = collector.wait_for(lambda: _all_stored(collector))
        assert (ledger["grpc", "stored"], ledger["http-otlp", "stored"], ledger["xray-udp", "stored"]) == (2, 2, 2)
        collector.wait_for(lambda: _settled(collector))
        trace_id = first.split("-")[1]
        yield collector, f"1-{trace_id[:8]}-{trace_id[8:]}"
        assert collector.stop() == 0


def _all_stored(collector: Collector) -> dict[tuple[str, str], int] | None:
    ledger = collector.ledger()
    return ledger if ledger["xray-udp", "stored"] == 2 else None


def _settled(collector: Collector) -> bool:
    """Whether the map shows the client and the table: rows that are ten seconds old are settled."""
    now = time.time()
    graph = collector.get(f"/api/service-graph?start={now - 600}&end={now + 60}")
    return {"client", "AWS::DynamoDB::Table"} <= {node["type"] for node in graph["nodes"]}


@pytest.fixture(params=["http", "xray"])
def xray(request: pytest.FixtureRequest, served: Any) -> Any:
    """boto3's client on port 4318, then on the X-Ray port."""
    collector, _ = served
    endpoint = collector.http if request.param == "http" else f"http://{collector.xray}"
    client = boto3.client(
        "xray", endpoint_url=endpoint, region_name="eu-west-1", aws_access_key_id="any", aws_secret_access_key="any"
    )
    yield client
    client.close()


def test_boto3_reads_the_map(served: Any, xray: Any) -> None:
    now = time.time()
    services = xray.get_service_graph(StartTime=now - 600, EndTime=now + 60)["Services"]
    by_id = {service["ReferenceId"]: (service["Name"], service.get("Type") or "") for service in services}
    edges = {
        (by_id[service["ReferenceId"]], by_id[edge["ReferenceId"]]) for service in services for edge in service["Edges"]
    }
    web, orders, payment = ("web", ""), ("orders", ""), ("payment", "")
    assert edges == {
        (("web", "client"), web),
        (web, orders),
        (orders, payment),
        (payment, ("payments", "AWS::DynamoDB::Table")),
    }
    [statistics] = [service["SummaryStatistics"] for service in services if service["Name"] == "payment"]
    assert statistics["TotalCount"] == 1
    assert statistics["FaultStatistics"]["TotalCount"] == 1
    [root] = [service for service in services if service.get("Root")]
    assert root["Name"] == "web"


@pytest.mark.parametrize("expression", [None, 'service("payment") { fault }', 'annotation.order = "o-17"', "ok = true"])
def test_boto3_finds_the_trace(served: Any, xray: Any, expression: str | None) -> None:
    _, trace_id = served
    now = time.time()
    query = {"FilterExpression": expression} if expression else {}
    found = xray.get_trace_summaries(StartTime=now - 600, EndTime=now + 60, **query)["TraceSummaries"]
    assert [summary["Id"] for summary in found] == [trace_id]
    assert not found[0]["HasFault"]  # X-Ray's flag is the root's, and `web` answered 200
    assert found[0]["Http"]["HttpStatus"] == 200


def test_boto3_reads_the_trace(served: Any, xray: Any) -> None:
    _, trace_id = served
    [trace] = xray.batch_get_traces(TraceIds=[trace_id])["Traces"]
    documents = [json.loads(segment["Document"]) for segment in trace["Segments"]]
    names = {document["name"] for document in documents}
    assert {"web", "orders", "payment"} <= names
    payment = next(document for document in documents if document["name"] == "payment")
    assert payment["annotations"] == {"order": "o-17"}
    assert payment["subsegments"][0]["aws"]["table_name"] == "payments"


def test_the_dashboards_map_is_the_same(served: Any) -> None:
    collector, trace_id = served
    now = time.time()
    graph = collector.get(f"/api/service-graph?start={now - 600}&end={now + 60}")
    assert {(edge["source"], edge["target"]) for edge in graph["edges"]} == {
        ("web|client", "web|"),
        ("web|", "orders|"),
        ("orders|", "payment|"),
        ("payment|", "payments|AWS::DynamoDB::Table"),
    }
    trace = collector.get(f"/api/traces/{trace_id}")
    assert [(each["depth"], each["name"]) for each in trace["segments"]] == [
        (0, "web"),
        (1, "orders"),
        (2, "orders"),
        (3, "payment"),
        (4, "payment"),
        (5, "DynamoDB"),
    ]
