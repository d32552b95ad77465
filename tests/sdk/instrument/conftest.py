from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contracts.instrumented import instrumented
from fluoro.testing import Spans, capture
from servers.mariadb import MariaDB, mariadb
from servers.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    from contracts.moto_server import aws  # here, since most of the oldest versions are tested without moto and boto3

    with aws() as url:
        yield url


@pytest.fixture
def client(aws_url: str) -> Callable[[str], Any]:
    """`client("sqs")`: a client of moto's server."""
    import boto3
    from botocore.config import Config

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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    with mariadb() as server:
        yield server
