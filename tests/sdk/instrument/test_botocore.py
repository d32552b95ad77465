from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.endpoint import Endpoint
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from contracts.instrumented import instrumented
from fluoro import instrument
from fluoro.instrument import _patch
from fluoro.model import Kind, Segment
from fluoro.propagation import Parent, parse_xray
from fluoro.recorder import recorder
from fluoro.testing import Spans

pytestmark = pytest.mark.usefixtures("botocore_patched")

Make = Callable[..., Any]


def headers_of(client: Any) -> list[list[str]]:
    """Collects the trace headers of every request that `client` sends, as they are on the wire."""
    seen: list[list[str]] = []

    def before_send(request: Any, **_: Any) -> None:
        values = [value for key, value in request.headers.items() if key.lower() == "x-amzn-trace-id"]
        seen.append([value.decode() if isinstance(value, bytes) else value for value in values])

    client.meta.events.register("before-send", before_send)
    return seen


def fields(segment: Segment) -> dict[str, Any]:
    assert segment.aws is not None
    return segment.aws


def test_one_span_with_what_was_called(client: Make, spans: Spans) -> None:
    dynamodb = client("dynamodb")
    key = {"AttributeName": "id", "AttributeType": "S"}
    dynamodb.create_table(
        TableName="orders", AttributeDefinitions=[key], KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )  # fmt: skip
    spans.take(1)
    seen = headers_of(dynamodb)
    with recorder.begin_segment("POST /orders") as entry:
        dynamodb.put_item(TableName="orders", Item={"id": {"S": "secret"}}, ReturnConsumedCapacity="TOTAL")
    call, request = spans.take(2)
    assert (call.name, call.namespace, call.kind, call.operation) == ("DynamoDB", "aws", Kind.CLIENT, "PutItem")
    assert (call.trace_id, call.parent_id, call.subsegment) == (request.trace_id, entry.segment.id, True)
    recorded = fields(call)
    assert (recorded["operation"], recorded["region"], recorded["table_name"]) == ("PutItem", "eu-west-1", "orders")
    assert recorded["request_id"]
    assert recorded["consumed_capacity"]["CapacityUnits"] == 1
    assert call.http is not None
    assert call.http.status == 200
    assert "secret" not in repr(call)
    ((header,),) = seen
    parent = parse_xray(header)
    assert parent is not None
    assert (parent.trace_id, parent.id, parent.sampled) == (call.trace_id, call.id, True)

    dynamodb.batch_get_item(RequestItems={"orders": {"Keys": [{"id": {"S": "1"}}]}})
    assert fields(spans.one())["table_names"] == ["orders"]
    dynamodb.list_tables()
    assert fields(spans.one())["table_count"] == 1


def test_client_errors_are_judged_by_their_status(client: Make, spans: Spans) -> None:
    with pytest.raises(ClientError) as raised:
        client("dynamodb").get_item(TableName="none", Key={"id": {"S": "1"}})
    call = spans.one()
    assert (call.error, call.throttle, call.fault) == (True, False, False)
    assert call.http is not None
    assert call.http.status == 400
    assert fields(call)["request_id"]
    assert call.cause is not None
    record = call.cause.exceptions[0]
    assert record.remote
    assert record.message == str(raised.value)
    assert record.type.endswith("ResourceNotFoundException")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "ProvisionedThroughputExceededException", (True, True, False)),
        (429, "TooManyRequestsException", (True, True, False)),
        (503, "SlowDown", (False, False, True)),
        (304, "304", (False, False, False)),
    ],
)
def test_throttling_and_faults(
    client: Make, spans: Spans, status: int, code: str, expected: tuple[bool, bool, bool]
) -> None:
    dynamodb = client("dynamodb")
    body = json.dumps({"__type": code, "message": "m"}).encode()
    dynamodb.meta.events.register("before-send", lambda **_: _response(status, body))
    with pytest.raises(ClientError):
        dynamodb.get_item(TableName="orders", Key={"id": {"S": "1"}})
    call = spans.one()
    assert (call.error, call.throttle, call.fault) == expected
    assert fields(call)["request_id"] == "r"
    assert fields(call).get("retries", 0) == (0 if status == 304 else 1)


def _response(status: int, body: bytes) -> Any:
    class Raw(io.BytesIO):
        def stream(self, **_: Any) -> Any:
            yield self.read()

    return AWSResponse("http://127.0.0.1/", status, {"x-amzn-requestid": "r"}, Raw(body))


def test_what_never_reached_aws_is_a_fault(client: Make, spans: Spans) -> None:
    with pytest.raises(ParamValidationError):
        client("sqs").send_message(QueueUrl=1)
    call = spans.one()
    assert call.fault
    assert call.cause is not None
    assert not call.cause.exceptions[0].remote


def test_an_unreachable_endpoint_is_a_fault(spans: Spans) -> None:
    s3 = boto3.client(
        "s3", region_name="eu-west-1", endpoint_url="http://127.0.0.1:9", aws_access_key_id="k",
        aws_secret_access_key="s", config=Config(retries={"max_attempts": 0}),
    )  # fmt: skip
    with pytest.raises(EndpointConnectionError):
        s3.list_buckets()
    call = spans.one()
    assert (call.name, call.fault) == ("S3", True)


def test_resources_of_the_services(client: Make, spans: Spans) -> None:
    s3 = client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="photos", Key="a/b.jpg", Body=b"secret")
    with pytest.raises(ClientError):
        s3.get_object(Bucket="photos", Key="none")
    topic = client("sns").create_topic(Name="news")["TopicArn"]
    client("sns").publish(TopicArn=topic, Message="secret")
    with pytest.raises(ClientError):
        client("lambda").invoke(FunctionName="resize", InvocationType="Event", Payload=b"secret")
    made, put, got, named, published, invoked = spans.take(6)
    assert fields(made)["bucket_name"] == fields(put)["bucket_name"] == "photos"
    assert (put.name, put.operation, fields(put)["key"]) == ("S3", "PutObject", "a/b.jpg")
    assert (got.error, fields(got)["key"]) == (True, "none")
    assert (named.name, fields(named)["topic_name"]) == ("SNS", "news")
    assert (published.kind, fields(published)["topic_arn"]) == (Kind.PRODUCER, topic)
    assert fields(published)["message_id"]
    assert (invoked.name, fields(invoked)["function_name"]) == ("Lambda", "resize")
    assert "secret" not in repr((put, published, invoked))


def test_the_header_replaces_lambdas_own(client: Make, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-00000001-000000000000000000000001;Parent=0000000000000001;Sampled=1")
    sts = client("sts")
    seen = headers_of(sts)
    sts.get_caller_identity()
    call = spans.one()
    ((header,),) = seen
    parent = parse_xray(header)
    assert parent is not None
    assert (parent.trace_id, parent.id) == (call.trace_id, call.id)


def test_unsampled_is_not_recorded_but_told(client: Make, spans: Spans) -> None:
    sts = client("sts")
    seen = headers_of(sts)
    with recorder.begin_segment("GET /", parent=Parent(b"\x65" * 16, 7, sampled=False)):
        sts.get_caller_identity()
    assert spans.take() == []
    assert seen[0][0].endswith("Sampled=0")


def test_uninstall_restores() -> None:
    patched = vars(BaseClient)["_make_api_call"], vars(Endpoint)["prepare_request"]
    instrument.uninstall()
    assert vars(BaseClient)["_make_api_call"] is not patched[0]
    assert vars(Endpoint)["prepare_request"] is not patched[1]
    assert not _patch.is_patched(BaseClient, "_make_api_call")
    with instrumented("botocore"):
        assert _patch.is_patched(BaseClient, "_make_api_call")


def test_a_streamed_body_can_be_read_after_the_span(client: Make, spans: Spans) -> None:
    s3 = client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="streams", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a", "b")
    s3.upload_fileobj(io.BytesIO(archive.getvalue()), "streams", "a.zip")
    assert s3.get_object(Bucket="streams", Key="a.zip")["Body"].read() == archive.getvalue()
    assert [call.operation for call in spans.take(3)] == ["CreateBucket", "PutObject", "GetObject"]
