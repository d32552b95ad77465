"""Install the instrumentation of one library through the real table, and take it back."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

from fluoro import instrument


@contextmanager
def instrumented(name: str) -> Iterator[None]:
    """The library called `name` in the table is patched inside the block; its module is imported if it was not."""
    rows = [row for row in instrument.TABLE if row.name == name]
    assert rows, f"no {name} in the table"
    instrument.install((), lambda: True, rows)
    try:
        for row in rows:
            importlib.import_module(row.module)
            assert instrument.register[row.module] == "patched"
        yield
    finally:
        instrument.uninstall()
