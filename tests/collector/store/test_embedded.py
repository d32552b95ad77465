from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.store import StoreContract
from fluoro_collector.store.embedded import Embedded


class TestEmbedded(StoreContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Embedded]:
        engine = Embedded(tmp_path / "data")
        yield engine
        engine.close()
