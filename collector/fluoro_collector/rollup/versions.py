"""Which version the rows of a rollup get."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fluoro_collector.store.engine import Engine


def next_version(engine: Engine, table: str, column: str, periods: Sequence[int]) -> int:
    """A version for these periods of `table` (epoch seconds): now in epoch ns, and greater than any they have.

    Take it before reading what they are computed from: then a greater version has read at least as much. Greater than
    any, since the clock of another collector may be ahead of ours.
    """
    params = {"periods": list(periods)}
    sql = f"SELECT max(version) AS version FROM {table} WHERE {column} IN {{periods:Array(DateTime('UTC'))}}"  # noqa: S608 - names are ours
    return max(time.time_ns(), int(engine.query(sql, params)["version"][0]) + 1)
