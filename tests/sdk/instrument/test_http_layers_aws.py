"""AWS's libraries call HTTP's: with all of them patched, the call to AWS is the only span."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiobotocore.session import get_session

from contracts.instrumented import instrumented
from fluoro.testing import Spans


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    with instrumented("http.client", "urllib3", "requests", "httpx", "aiohttp", "botocore", "aiobotocore"):
        yield


def test_boto3_makes_the_only_span(client: Callable[..., Any], spans: Spans) -> None:
    s3 = client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="layers", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="layers", Key="a", Body=b"b")
    assert s3.get_object(Bucket="layers", Key="a")["Body"].read() == b"b"
    assert [(call.name, call.operation) for call in spans.take(3)] == [
        ("S3", "CreateBucket"), ("S3", "PutObject"), ("S3", "GetObject"),
    ]  # fmt: skip


def test_aiobotocore_makes_the_only_span(aws_url: str, spans: Spans) -> None:
    async def run() -> None:
        made = get_session().create_client(
            "sts", region_name="eu-west-1", endpoint_url=aws_url, aws_access_key_id="k", aws_secret_access_key="s"
        )
        async with made as sts:
            await sts.get_caller_identity()

    asyncio.run(run())
    assert spans.one().name == "STS"
