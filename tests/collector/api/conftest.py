from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fluoro_collector.store.store import Store
from query_server import Server, serving
from query_store import empty, open_store
from xray_client import xray_client


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def server(opened: Store) -> Iterator[Server]:
    with serving(empty(opened)) as server:
        yield server


@pytest.fixture
def store(opened: Store) -> Store:
    return empty(opened)


@pytest.fixture(scope="module")
def standing(opened: Store) -> Iterator[tuple[Server, Any]]:
    """One server and one X-Ray client for all tests of a module: half a second less for each."""
    with serving(empty(opened)) as server:
        client = xray_client(server.url)
        yield server, client
        client.close()


@pytest.fixture
def running(standing: tuple[Server, Any], opened: Store) -> Server:
    """The standing server, over an empty store and without what it remembers of the last test."""
    empty(opened)
    server, _ = standing
    server.state.configuration._kept.clear()
    server.state.sampling.__init__(opened.engine, server.state.configuration)  # type: ignore[misc]
    return server


@pytest.fixture
def api(standing: tuple[Server, Any], running: Server) -> Any:
    """The client of `running`."""
    return standing[1]


@pytest.fixture
def xray(server: Server) -> Iterator[Any]:
    client = xray_client(server.url)
    yield client
    client.close()
