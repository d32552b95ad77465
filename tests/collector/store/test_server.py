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


class OnServer:
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


class TestServer(OnServer, StoreContract):
    pass


class TestCompressed(OnServer):
    """What compression could spoil: blocks that go there and come back."""

    options = "?compression=lz4"
    store = StoreContract.store
    test_any_segment_comes_back = StoreContract.test_any_segment_comes_back
    test_a_large_block_with_any_bytes_is_stored_whole = StoreContract.test_a_large_block_with_any_bytes_is_stored_whole
    test_an_answer_of_many_blocks_is_one = StoreContract.test_an_answer_of_many_blocks_is_one


@pytest.mark.matrix
class TestWholeContractCompressed(OnServer, StoreContract):
    options = "?compression=lz4"
