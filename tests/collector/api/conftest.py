from __future__ import annotations

from collections.abc import Iterator

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
