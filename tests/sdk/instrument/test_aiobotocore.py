from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aioboto3
import pytest
from aiobotocore.client import AioBaseClient
from aiobotocore.config import AioConfig
from aiobotocore.utils import AioInstanceMetadataFetcher
from botocore.endpoint import Endpoint
from botocore.exceptions import ClientError, EndpointConnectionError

from contracts.patched import PatchedContract
from fluoro import instrument
from fluoro.model import Kind
from fluoro.propagation import parse_xray
from fluoro.recorder import recorder
from fluoro.testing import Spans


class TestAiobotocore(PatchedContract):
    """Through aioboto3, whose clients are aiobotocore's."""

    library = "aiobotocore"

    def originals(self) -> list[Any]:
        return [vars(AioBaseClient)["_make_api_call"], vars(Endpoint)["prepare_request"]]

    def test_it_stays_a_coroutine_function(self) -> None:
        assert inspect.iscoroutinefunction(AioBaseClient._make_api_call)

    def test_one_span_with_its_header(self, aws_url: str, spans: Spans) -> None:
        async def work() -> list[str]:
            seen: list[str] = []
            async with client("sts", aws_url) as sts:
                sts.meta.events.register("before-send", lambda request, **_: seen.append(request.headers[HEADER]))
                with recorder.begin_segment("GET /"):
                    await sts.get_caller_identity()
            return [value.decode() if isinstance(value, bytes) else value for value in seen]

        (header,) = run(work)
        call, entry = spans.take(2)
        assert (call.name, call.namespace, call.operation, call.kind) == (
            "STS",
            "aws",
            "GetCallerIdentity",
            Kind.CLIENT,
        )
        assert call.parent_id == entry.id
        assert call.aws is not None
        assert call.aws["region"] == "eu-west-1"
        assert call.aws["request_id"]
        assert "retries" not in call.aws
        assert call.http is not None
        assert call.http.status == 200
        parent = parse_xray(header)
        assert parent is not None
        assert (parent.trace_id, parent.id) == (call.trace_id, call.id)

    def test_calls_at_the_same_time_are_siblings(self, aws_url: str, spans: Spans) -> None:
        async def work() -> None:
            async with client("s3", aws_url) as s3:
                with recorder.begin_segment("GET /"):
                    await asyncio.gather(*(s3.list_buckets() for _ in range(5)))

        run(work)
        *calls, entry = spans.take(6)
        assert {call.parent_id for call in calls} == {entry.id}

    def test_errors(self, aws_url: str, spans: Spans) -> None:
        async def work() -> None:
            async with client("dynamodb", aws_url) as dynamodb:
                with pytest.raises(ClientError):
                    await dynamodb.get_item(TableName="none", Key={"id": {"S": "1"}})
            async with client("dynamodb", "http://127.0.0.1:9") as dynamodb:
                with pytest.raises(EndpointConnectionError):
                    await dynamodb.list_tables()

        run(work)
        refused, unreachable = spans.take(2)
        assert (refused.error, refused.fault) == (True, False)
        assert (unreachable.error, unreachable.fault) == (False, True)
        assert unreachable.aws is not None
        assert unreachable.aws["retries"] == 1

    def test_a_cancelled_call_ends_its_span(self, aws_url: str, spans: Spans) -> None:
        async def work() -> None:
            async with client("sts", aws_url) as sts:
                sts.meta.events.register("before-call", hang)
                task = asyncio.ensure_future(sts.get_caller_identity())
                await asyncio.wait_for(started.wait(), 5)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        async def hang(**_: Any) -> None:
            started.set()
            await asyncio.Event().wait()

        started = asyncio.Event()
        run(work)
        call = spans.one()
        assert (call.operation, call.error, call.fault) == ("GetCallerIdentity", False, False)

    def test_pages(self, aws_url: str, spans: Spans) -> None:
        async def work() -> None:
            async with client("sqs", aws_url) as sqs:
                await sqs.create_queue(QueueName="paged")
                async for page in sqs.get_paginator("list_queues").paginate(QueueNamePrefix="paged"):
                    assert page["QueueUrls"]

        run(work)
        assert [call.operation for call in spans.take(2)] == ["CreateQueue", "ListQueues"]

    def test_messages_are_segments(self, aws_url: str, spans: Spans) -> None:
        async def work() -> None:
            async with client("sqs", aws_url) as sqs:
                url = (await sqs.create_queue(QueueName="async-orders"))["QueueUrl"]
                with recorder.begin_segment("POST /"):
                    await sqs.send_message(QueueUrl=url, MessageBody="m")
                for message in (await sqs.receive_message(QueueUrl=url))["Messages"]:
                    await asyncio.sleep(0)
                    await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                assert recorder.current() is None

        run(work)
        _, sent, _, deleted, consumed = spans.take(5)
        assert (consumed.kind, consumed.operation) == (Kind.CONSUMER, "process async-orders")
        assert (consumed.trace_id, consumed.parent_id) == (sent.trace_id, sent.id)
        assert deleted.parent_id == consumed.id

    def test_a_streamed_body_is_read_after_the_span(self, aws_url: str, spans: Spans) -> None:
        async def work() -> bytes:
            async with client("s3", aws_url) as s3:
                place = {"LocationConstraint": "eu-west-1"}
                await s3.create_bucket(Bucket="async", CreateBucketConfiguration=place)
                await s3.put_object(Bucket="async", Key="k", Body=b"body")
                answer = await s3.get_object(Bucket="async", Key="k")
                assert recorder.current() is None
                async with answer["Body"] as stream:
                    body: bytes = await stream.read()
                return body

        assert run(work) == b"body"
        assert [call.operation for call in spans.take(3)] == ["CreateBucket", "PutObject", "GetObject"]


def test_aiohttp_below_adds_no_span(aws_url: str, spans: Spans) -> None:
    async def work() -> None:
        async with client("sts", aws_url) as sts:
            await sts.get_caller_identity()
        await AioInstanceMetadataFetcher(num_attempts=1, base_url=f"{aws_url}/").retrieve_iam_role_credentials()

    instrument.install((), lambda: True, [row for row in instrument.TABLE if row.name in ("aiobotocore", "aiohttp")])
    try:
        run(work)
        assert spans.one().operation == "GetCallerIdentity"
    finally:
        instrument.uninstall()


HEADER = "X-Amzn-Trace-Id"


@asynccontextmanager
async def client(service: str, url: str) -> AsyncIterator[Any]:
    config = AioConfig(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    async with aioboto3.Session().client(
        service, region_name="eu-west-1", endpoint_url=url, aws_access_key_id="k", aws_secret_access_key="s",
        config=config,
    ) as made:  # fmt: skip
        yield made


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())
