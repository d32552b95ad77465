from __future__ import annotations

import io
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.client import BaseClient
from botocore.config import Config
from botocore.endpoint import Endpoint
from botocore.exceptions import ClientError, EndpointConnectionError, MetadataRetrievalError, ParamValidationError
from botocore.utils import ContainerMetadataFetcher, InstanceMetadataFetcher

from contracts.aws_answer import answered
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
    dynamodb.meta.events.register("before-send", lambda **_: answered(status, body))
    with pytest.raises(ClientError):
        dynamodb.get_item(TableName="orders", Key={"id": {"S": "1"}})
    call = spans.one()
    assert (call.error, call.throttle, call.fault) == expected
    assert fields(call)["request_id"] == "r"
    assert fields(call).get("retries", 0) == (0 if status == 304 else 1)


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


def test_pages_and_waits_are_calls(client: Make, spans: Spans) -> None:
    s3 = client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="pages", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.get_waiter("bucket_exists").wait(Bucket="pages")
    for key in "abc":
        s3.put_object(Bucket="pages", Key=key, Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="pages", PaginationConfig={"PageSize": 2})
    assert [len(page["Contents"]) for page in pages] == [2, 1]
    listed = [call for call in spans.take(7) if call.operation == "ListObjectsV2"]
    assert [fields(call)["key_count"] for call in listed] == [2, 1]


def test_a_presigned_url_is_no_call(client: Make, spans: Spans) -> None:
    url = client("s3").generate_presigned_url("get_object", Params={"Bucket": "photos", "Key": "a"})
    assert "photos" in url
    assert spans.take() == []


def test_resources_make_calls(aws_url: str, spans: Spans) -> None:
    resource = boto3.resource(
        "dynamodb", region_name="eu-west-1", endpoint_url=aws_url, aws_access_key_id="k", aws_secret_access_key="s"
    )
    table = resource.create_table(
        TableName="stock", AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
    )  # fmt: skip
    table.put_item(Item={"id": "secret"})
    with table.batch_writer() as batch:
        batch.put_item(Item={"id": "1"})
    made, put, batched = spans.take(3)
    assert fields(made)["table_name"] == fields(put)["table_name"] == "stock"
    assert fields(batched)["table_names"] == ["stock"]
    assert "secret" not in repr(put)


def test_parts_of_a_transfer_are_below_the_caller(client: Make, spans: Spans, tmp_path: Path) -> None:
    """S3 transfers work in threads of their own."""
    s3 = client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="parts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    spans.take(1)
    file = tmp_path / "large"
    file.write_bytes(b"x" * (11 << 20))
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=2)
    with both_patched("futures"):
        with recorder.begin_segment("POST /upload") as entry:
            s3.upload_file(str(file), "parts", "large", Config=parts)
            s3.download_file("parts", "large", str(tmp_path / "copy"), Config=parts)
        calls = spans.take()
    assert (tmp_path / "copy").read_bytes() == file.read_bytes()
    assert calls.pop() is entry.segment
    operations = sorted(call.operation for call in calls)
    assert operations == [
        "CompleteMultipartUpload", "CreateMultipartUpload", "GetObject", "GetObject", "GetObject", "HeadObject",
        "UploadPart", "UploadPart", "UploadPart",
    ]  # fmt: skip
    assert {(call.trace_id, call.parent_id) for call in calls} == {(entry.segment.trace_id, entry.segment.id)}
    assert sorted(fields(call)["part_number"] for call in calls if call.operation == "UploadPart") == [1, 2, 3]


@contextmanager
def both_patched(other: str) -> Iterator[None]:
    """botocore, and what the table calls `other`, which is imported already."""
    instrument.uninstall()
    rows = [row for row in instrument.TABLE if row.name in ("botocore", other)]
    instrument.install((), lambda: True, rows)
    try:
        yield
    finally:
        instrument.uninstall()
        instrument.install((), lambda: True, [row for row in rows if row.name == "botocore"])


@pytest.mark.parametrize("below", ["urllib3", "http.client"])
def test_the_http_client_below_adds_no_span(client: Make, spans: Spans, below: str) -> None:
    with both_patched(below):
        client("sts").get_caller_identity()
        with recorder.begin_segment("GET /", parent=Parent(b"\x65" * 16, 7, sampled=False)):
            client("sts").get_caller_identity()
        assert spans.one().operation == "GetCallerIdentity"


def test_fetching_credentials_from_the_machine_is_no_call(aws_url: str, spans: Spans) -> None:
    with both_patched("urllib3"):
        InstanceMetadataFetcher(num_attempts=1, base_url=f"{aws_url}/").retrieve_iam_role_credentials()
        with pytest.raises(MetadataRetrievalError):  # a page, where credentials are expected
            ContainerMetadataFetcher(sleep=lambda _: None).retrieve_full_uri(f"{aws_url}/moto-api/")
        assert recorder.current() is None
        assert spans.take() == []


def test_an_event_stream_is_read_after_the_span(client: Make, spans: Spans) -> None:
    events = eventstream("records", b"1,2\n") + eventstream("end", b"")
    s3 = client("s3", s3={"addressing_style": "path"})
    s3.meta.events.register("before-send", lambda **_: answered(200, events))
    expression = {"CSV": {}}
    answer = s3.select_object_content(
        Bucket="photos", Key="a.csv", ExpressionType="SQL", Expression="SELECT 'secret'",
        InputSerialization=expression, OutputSerialization=expression,
    )  # fmt: skip
    call = spans.one()
    assert recorder.current() is None
    assert [list(event) for event in answer["Payload"]] == [["Records"], ["End"]]
    assert (call.operation, fields(call)["key"]) == ("SelectObjectContent", "a.csv")
    assert "secret" not in repr(call)


def eventstream(kind: str, payload: bytes) -> bytes:
    """One message of AWS's event stream encoding: lengths, checksum, headers, payload, checksum."""
    headers = b""
    for name, value in ((":message-type", "event"), (":event-type", kind.capitalize())):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
    prelude = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + payload
    return message + zlib.crc32(message).to_bytes(4, "big")


def test_attempts_are_counted_when_nobody_answered(spans: Spans) -> None:
    dynamodb = boto3.client(
        "dynamodb", region_name="eu-west-1", endpoint_url="http://127.0.0.1:9", aws_access_key_id="k",
        aws_secret_access_key="s", config=Config(retries={"max_attempts": 1}),
    )  # fmt: skip
    with pytest.raises(EndpointConnectionError):
        dynamodb.list_tables()
    assert fields(spans.one())["retries"] == 1


def test_secrets_stay_with_their_owner(client: Make, spans: Spans) -> None:
    """Against moto: services that hold what must not be seen."""
    manager = client("secretsmanager")
    manager.create_secret(Name="db", SecretString="hidden")
    assert manager.get_secret_value(SecretId="db")["SecretString"] == "hidden"
    ssm = client("ssm")
    ssm.put_parameter(Name="/db/password", Value="hidden", Type="SecureString")
    assert ssm.get_parameter(Name="/db/password", WithDecryption=True)["Parameter"]["Value"] == "hidden"
    ssm.get_parameters(Names=["/db/password", "/none"])
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.encrypt(KeyId=key, Plaintext=b"hidden")
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    kinesis.put_record(StreamName="clicks", Data=b"hidden", PartitionKey="hidden")
    logs = client("logs")
    logs.create_log_group(logGroupName="shop")
    logs.create_log_stream(logGroupName="shop", logStreamName="one")
    logs.put_log_events(
        logGroupName="shop",
        logStreamName="one",
        logEvents=[{"timestamp": int(time.time() * 1000), "message": "hidden"}],
    )
    calls = {f"{call.name}.{call.operation}": fields(call) for call in spans.take(12)}
    assert calls["SecretsManager.GetSecretValue"]["secret_id"] == "db"
    assert calls["SSM.GetParameter"]["name"] == "/db/password"
    assert calls["SSM.GetParameters"]["invalid_count"] == 1
    assert calls["KMS.Encrypt"]["key_id"] == key
    assert calls["Kinesis.PutRecord"]["stream_name"] == "clicks"
    assert calls["CloudWatchLogs.PutLogEvents"]["event_count"] == 1
    assert "hidden" not in repr(calls)
