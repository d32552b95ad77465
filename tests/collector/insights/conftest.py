from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import botocore.config
import pytest

from fluoro_collector.store.store import Store
from query_server import Server, serving
from query_store import empty, open_store


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def server(opened: Store) -> Iterator[Server]:
    with serving(empty(opened)) as server:
        yield server


@pytest.fixture
def xray(server: Server) -> Iterator[Any]:
    client = boto3.client(
        "xray",
        endpoint_url=server.url,
        region_name="eu-central-1",
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
        config=botocore.config.Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    yield client
    client.close()
