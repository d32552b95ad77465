from __future__ import annotations

from collections.abc import Iterator

import pytest

from fluoro_collector.rollup import job
from fluoro_collector.store.store import Store
from query_store import empty, open_store


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def store(opened: Store) -> Store:
    return empty(opened)


@pytest.fixture
def no_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs compute none: a fifth of a small run, which has tests of its own."""
    monkeypatch.setattr(job, "COMPLETIONS_PER_RUN", 0)
