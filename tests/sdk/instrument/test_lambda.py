"""Lambda handlers: every source of events through `fluoro.lambda_handler`, and AWS's real runtime over a fake of its API."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import batch_sink
import fluoro
from batch_sink import BatchSink
from fluoro.instrument import _lambda_events, aws_lambda
from fluoro.model import Kind
from fluoro.propagation import parse_xray
from fluoro.testing import Spans, capture
from servers.lambda_runtime import ARN, RuntimeApi, runtime_api
from traced_program import environment, label

TRACE = "5759e988bd862e3fe1be46a994272793"
HEADER = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent=53995c3f42cd8ad8;Sampled=1"
OTHER = "Root=1-5759e988-000000000000000000000001;Parent=00000000000000aa;Sampled=1"


class Context:
    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    invoked_function_arn = ARN

    def get_remaining_time_in_millis(self) -> int:
        return 0


@fluoro.lambda_handler
def handler(event: Any, context: Any) -> Any:
    with fluoro.span("work"):
        pass
    if isinstance(event, dict) and "raise" in event:
        raise ValueError("no such price")
    return event.get("answer") if isinstance(event, dict) else None


@pytest.fixture
def price() -> Iterator[Spans]:
    with capture("price") as spans:
        yield spans


REST = {
    "resource": "/prices/{id}",
    "path": "/prices/7",
    "httpMethod": "GET",
    "headers": {
        "X-Amzn-Trace-Id": HEADER,
        "Host": "api.example.com",
        "User-Agent": "curl",
        "X-Forwarded-For": "1.2.3.4",
    },
    "queryStringParameters": {"token": "secret"},
    "requestContext": {"stage": "prod", "identity": {"sourceIp": "9.9.9.9"}},
}
HTTP_API = {
    "version": "2.0",
    "routeKey": "GET /prices/{id}",
    "rawPath": "/prices/7",
    "rawQueryString": "token=secret",
    "headers": {"x-amzn-trace-id": HEADER, "host": "api.example.com"},
    "requestContext": {"http": {"method": "GET", "path": "/prices/7", "sourceIp": "1.2.3.4"}},
}
BALANCER = {
    "requestContext": {"elb": {"targetGroupArn": "arn"}},
    "httpMethod": "POST",
    "path": "/prices/7",
    "multiValueHeaders": {"x-amzn-trace-id": [HEADER], "host": ["lb.example.com"]},
}
EDGE = {
    "Records": [
        {
            "cf": {
                "config": {"eventType": "viewer-request", "distributionId": "EDFD"},
                "request": {
                    "method": "GET",
                    "uri": "/picture.jpg",
                    "querystring": "token=secret",
                    "clientIp": "1.2.3.4",
                    "headers": {
                        "host": [{"key": "Host", "value": "d111.cloudfront.net"}],
                        "x-amzn-trace-id": [{"key": "X-Amzn-Trace-Id", "value": HEADER}],
                    },
                },
            }
        }
    ]
}


@pytest.mark.parametrize(
    ("event", "operation", "url"),
    [
        (REST, "GET /prices/{id}", "https://api.example.com/prices/7"),
        (HTTP_API, "GET /prices/{id}", "https://api.example.com/prices/7"),
        (HTTP_API | {"routeKey": "$default"}, "GET unmatched", "https://api.example.com/prices/7"),
        (BALANCER, "POST unmatched", "https://lb.example.com/prices/7"),
        (EDGE, "GET viewer-request", "https://d111.cloudfront.net/picture.jpg"),
    ],
    ids=["rest", "http-api", "default-route", "balancer", "edge"],
)
def test_http_events(price: Spans, event: dict[str, Any], operation: str, url: str) -> None:
    handler(event | {"answer": {"statusCode": 404}}, Context())
    work, served = price.take(2)
    assert (served.name, served.operation, served.kind) == ("price", operation, Kind.SERVER)
    assert (served.trace_id.hex(), served.parent_id) == (TRACE, 0x53995C3F42CD8AD8)
    assert (served.subsegment, work.parent_id) == (False, served.id)
    assert served.http is not None
    assert (served.http.url, served.http.client_ip, served.http.status) == (url, served.http.client_ip, 404)
    assert (served.error, served.fault) == (True, False)
    assert "secret" not in repr(served)
    assert served.origin == ("AWS::CloudFront::Edge" if event is EDGE else "AWS::Lambda::Function")
    assert served.aws == {"request_id": Context.aws_request_id}
    assert served.resource_arn == ARN


def sqs(*headers: str) -> dict[str, Any]:
    record = {"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:orders", "body": "secret"}
    return {"Records": [record | {"attributes": {"AWSTraceHeader": header} if header else {}} for header in headers]}


def sns(header: str) -> dict[str, Any]:
    attributes = {"X-Amzn-Trace-Id": {"Type": "String", "Value": header}}
    topic = "arn:aws:sns:eu-west-1:123456789012:orders"
    message = {"TopicArn": topic, "Message": "secret", "MessageAttributes": attributes}
    return {"Records": [{"EventSource": "aws:sns", "Sns": message}]}


def kafka(header: str) -> dict[str, Any]:
    record = {"topic": "orders", "value": "c2VjcmV0", "headers": [{"X-Amzn-Trace-Id": list(header.encode())}]}
    return {"eventSource": "aws:kafka", "records": {"orders-0": [record]}}


@pytest.mark.parametrize(
    ("event", "operation", "aws"),
    [
        (sqs(HEADER), "SQS orders", {"queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"}),
        (sns(HEADER), "SNS orders", {"topic_arn": "arn:aws:sns:eu-west-1:123456789012:orders"}),
        (kafka(HEADER), "Kafka orders", {}),
    ],
    ids=["sqs", "sns", "kafka"],
)
def test_a_single_message_continues_its_senders_trace(
    price: Spans, event: dict[str, Any], operation: str, aws: dict[str, str]
) -> None:
    handler(event, Context())
    _, served = price.take(2)
    assert (served.operation, served.kind) == (operation, Kind.CONSUMER)
    assert (served.trace_id.hex(), served.parent_id, served.links) == (TRACE, 0x53995C3F42CD8AD8, None)
    assert served.aws == aws | {"request_id": Context.aws_request_id}
    assert "secret" not in repr(served)


def test_a_batch_is_linked_to_its_senders(price: Spans) -> None:
    handler(sqs(HEADER, OTHER, ""), Context())
    _, served = price.take(2)
    assert served.parent_id == 0
    assert served.links is not None
    assert [(link.trace_id.hex(), link.id) for link in served.links] == [
        (TRACE, 0x53995C3F42CD8AD8),
        ("5759e988000000000000000000000001", 0xAA),
    ]


def test_items_that_failed_make_a_fault(price: Spans) -> None:
    handler(sqs(HEADER) | {"answer": {"batchItemFailures": [{"itemIdentifier": "1"}]}}, Context())
    _, served = price.take(2)
    assert served.fault
    assert served.annotations is not None
    assert served.annotations["failed_items"] == 1


@pytest.mark.parametrize(
    ("event", "operation"),
    [
        ({"source": "shop", "detail-type": "OrderPlaced", "detail": {}}, "EventBridge shop OrderPlaced"),
        (
            {"Records": [{"eventSource": "aws:kinesis", "eventSourceARN": "arn:aws:kinesis:x:1:stream/clicks"}]},
            "Kinesis clicks",
        ),
        (
            {
                "Records": [
                    {"eventSource": "aws:dynamodb", "eventSourceARN": "arn:aws:dynamodb:x:1:table/stock/stream/2026"}
                ]
            },
            "DynamoDB stream stock",
        ),
        (
            {
                "Records": [
                    {
                        "eventSource": "aws:s3",
                        "eventName": "ObjectCreated:Put",
                        "s3": {"bucket": {"name": "b"}, "object": {"key": "secret"}},
                    }
                ]
            },
            "S3 b ObjectCreated:Put",
        ),
        ({"eventSource": "aws:mq", "eventSourceArn": "arn:aws:mq:x:1:broker:b"}, "ActiveMQ b"),
        ({"awslogs": {"data": ""}}, "CloudWatch Logs"),
        (
            {"info": {"parentTypeName": "Query", "fieldName": "price"}, "request": {"headers": {}}},
            "AppSync Query.price",
        ),
        ({"triggerSource": "PreSignUp_SignUp", "userPoolId": "p"}, "Cognito PreSignUp_SignUp"),
        (
            {"requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "c"}},
            "WEBSOCKET $connect",
        ),
        ({"order": 7}, "invoke"),
        (None, "invoke"),
    ],
    ids=lambda value: value if isinstance(value, str) else "event",
)
def test_other_sources_take_the_caller_from_the_runtime(
    price: Spans, monkeypatch: pytest.MonkeyPatch, event: object, operation: str
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", HEADER)
    handler(event, Context())
    _, served = price.take(2)
    assert served.operation == operation
    assert (served.trace_id.hex(), served.parent_id) == (TRACE, 0x53995C3F42CD8AD8)
    assert "secret" not in repr(served)


def test_tracing_that_is_off_at_aws_is_not_a_decision_against_ours(
    price: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", HEADER.replace("Sampled=1", "Sampled=0"))
    handler({}, Context())
    _, served = price.take(2)
    assert served.trace_id.hex() == TRACE


def test_an_exception_is_the_cause_and_goes_on(price: Spans) -> None:
    with pytest.raises(ValueError, match="no such price"):
        handler(REST | {"raise": True}, Context())
    _, served = price.take(2)
    assert served.fault
    assert served.cause is not None
    assert served.cause.exceptions[0].message == "no such price"
    assert served.http is not None
    assert served.http.status == 500


def test_a_framework_inside_is_the_same_segment_with_its_route(price: Spans) -> None:
    from contracts.instrumented import instrumented

    with instrumented("flask"):
        import flask

        app = flask.Flask("inner")
        app.add_url_rule("/prices/<id>", view_func=lambda id: id, endpoint="price")  # noqa: A006

        @fluoro.lambda_handler
        def adapted(event: Any, context: Any) -> Any:
            response = app.test_client().get("/prices/7")
            return {"statusCode": response.status_code}

        adapted(BALANCER, Context())
    served = price.one()
    assert served.operation == "POST /prices/{id}"


_KEYS = st.sampled_from(
    [
        "Records",
        "eventSource",
        "EventSource",
        "cf",
        "request",
        "config",
        "headers",
        "attributes",
        "AWSTraceHeader",
        "Sns",
        "MessageAttributes",
        "requestContext",
        "http",
        "httpMethod",
        "records",
        "source",
        "detail-type",
        "info",
        "awslogs",
        "s3",
        "bucket",
        "messageAttributes",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_no_event_makes_the_reader_fail(event: object) -> None:
    source = _lambda_events.read(event)
    assert isinstance(source.operation, str)


class TestRuntime:
    """awslambdaric as AWS runs it, under `fluoro run`."""

    @pytest.fixture
    def sink(self) -> Iterator[BatchSink]:
        with batch_sink.running_sink() as running:
            yield running

    @pytest.fixture
    def api(self) -> Iterator[RuntimeApi]:
        with runtime_api() as running:
            yield running

    @pytest.fixture
    def runtime(self, sink: BatchSink, api: RuntimeApi, tmp_path: Path) -> Iterator[Any]:
        import subprocess

        (tmp_path / "price.py").write_text(
            "import time, fluoro\n"
            "def handler(event, context):\n"
            "    with fluoro.span('work'): pass\n"
            "    if 'sleep' in event: time.sleep(event['sleep'])\n"
            "    return {'price': 1}\n"
        )
        env = environment(sink.url, AWS_LAMBDA_RUNTIME_API=api.address, AWS_LAMBDA_FUNCTION_NAME="price")
        del env["FLUORO_SERVICE_NAME"]
        env |= {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST"}
        process = subprocess.Popen(
            [sys.executable, "-m", "fluoro", "run", sys.executable, "-m", "awslambdaric", "price.handler"],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        yield process
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @pytest.mark.usefixtures("runtime")
    def test_an_unchanged_function_is_traced_and_sent_before_its_answer(self, sink: BatchSink, api: RuntimeApi) -> None:
        for cold in (True, False):
            assert api.invoke({}, trace=HEADER) == ("response", {"price": 1})
            assert sorted(map(label, sink.segments)) == ["invoke", "work"]  # no waiting: they came before the answer
            served = next(segment for segment in sink.segments if not segment.subsegment)
            assert (served.name, served.origin) == ("price", "AWS::Lambda::Function")
            assert served.annotations == {"cold_start": cold}
            parent = parse_xray(HEADER)
            assert parent is not None
            assert (served.trace_id, served.parent_id) == (parent.trace_id, parent.id)
            sink.batches.clear()

    @pytest.mark.usefixtures("runtime")
    def test_a_function_that_is_about_to_be_killed_says_so(self, sink: BatchSink, api: RuntimeApi) -> None:
        api.invoke({})  # started
        sink.batches.clear()
        api.submit({"sleep": 60}, deadline_s=aws_lambda.DEADLINE_MARGIN_S * 2 + 1)
        sink.wait_for(lambda: len(sink.segments) == 2)
        overdue = next(segment for segment in sink.segments if not segment.subsegment)
        assert (overdue.in_progress, overdue.fault, overdue.end) == (True, True, 0)
        assert overdue.cause is not None
        assert "deadline" in overdue.cause.exceptions[0].message
