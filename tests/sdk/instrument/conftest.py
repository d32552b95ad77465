from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from contracts.instrumented import instrumented
from contracts.moto_server import aws
from fluoro.testing import Spans, capture


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    with aws() as url:
        yield url


@pytest.fixture
def client(aws_url: str) -> Callable[[str], Any]:
    """`client("sqs")`: a client of moto's server."""

    def make(service: str, **config: Any) -> Any:
        return boto3.client(
            service, region_name="eu-west-1", endpoint_url=aws_url, aws_access_key_id="key",
            aws_secret_access_key="secret", config=Config(retries={"max_attempts": 1}, **config),
        )  # fmt: skip

    return make


@pytest.fixture
def spans() -> Iterator[Spans]:
    with capture("shop") as spans:
        yield spans


@pytest.fixture
def botocore_patched() -> Iterator[None]:
    with instrumented("botocore"):
        yield
