"""The store's contract on the server engine: against a ClickHouse of today, or a server of the user's choice."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from clickhouse_nodes import running_nodes
from contracts.store import StoreContract
from fluoro_collector.store.server import Server


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Without a database."""
    given = os.environ.get("FLUORO_TEST_CLICKHOUSE")
    if given:
        yield given.rstrip("/")
        return
    with running_nodes(tmp_path_factory.mktemp("server")) as (node,):
        yield f"clickhouse://{node.host}"


class ServerContract(StoreContract):
    options = ""

    @pytest.fixture
    def engine(self, server_url: str) -> Iterator[Server]:
        database = f"fluoro_test_{uuid.uuid4().hex}"
        engine = Server(f"{server_url}/{database}{self.options}")
        yield engine
        engine.close()
        cleaner = Server(f"{server_url}/default")
        cleaner.command(f"DROP DATABASE {database}")
        cleaner.close()


class TestServer(ServerContract):
    pass


class TestCompressed(ServerContract):
    options = "?compression=lz4"
