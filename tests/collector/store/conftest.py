"""A store with its schema on each engine, for tests of what looks after a store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickhouse_nodes import Node, running_nodes
from fluoro_collector.store.embedded import Embedded
from fluoro_collector.store.server import Server
from fluoro_collector.store.store import Store


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running_nodes(tmp_path_factory.mktemp("node")) as (node,):
        yield node


@pytest.fixture
def server_store(node: Node) -> Iterator[Store]:
    store = Store(Server(f"clickhouse://{node.host}/care_{uuid.uuid4().hex}"))
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def embedded_store(tmp_path: Path) -> Iterator[Store]:
    store = Store(Embedded(tmp_path / "data"))
    store.migrate()
    yield store
    store.close()


@pytest.fixture(params=["embedded", "server"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found
