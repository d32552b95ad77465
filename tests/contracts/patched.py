"""What every instrumentation's contract begins with: patched for each test, and everything back in place afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from contracts.instrumented import instrumented


class PatchedContract:
    """`library` is a name of the table in `fluoro.instrument`."""

    library: ClassVar[str]

    def originals(self) -> list[Any]:
        """The functions that are patched, looked up now."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _patched(self) -> Iterator[None]:
        before = self.originals()
        with instrumented(self.library):
            assert not _same(self.originals(), before)
            yield
        assert _same(self.originals(), before)


def _same(one: list[Any], other: list[Any]) -> bool:
    """Identity, not equality: a wrapt proxy is equal to what it wraps."""
    return all(a is b for a, b in zip(one, other, strict=True))
