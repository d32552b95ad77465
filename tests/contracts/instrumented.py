"""Install the instrumentation of libraries through the real table, and take them back."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

from fluoro import instrument


@contextmanager
def instrumented(*names: str) -> Iterator[None]:
    """The libraries called `names` in the table are patched inside the block; their modules are imported if they were not."""
    rows = [row for row in instrument.TABLE if row.name in names]
    assert {row.name for row in rows} == set(names), f"not all of {names} are in the table"
    instrument.install((), lambda: True, rows)
    try:
        for row in rows:
            importlib.import_module(row.module)
            assert instrument.register[row.module] == "patched"
        yield
    finally:
        instrument.uninstall()
