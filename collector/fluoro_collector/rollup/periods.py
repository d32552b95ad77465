"""Replace hours and days: `nodes_1m` → `nodes_1h` → `nodes_1d`, and the same for edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fluoro_collector.query.graph.levels import DAY, DAYS, HOURS, MINUTES, Level, leveled
from fluoro_collector.store.engine import Engine

from .minutes import EDGE_KEY, FIGURES, NODE_KEY, TIME, marked
from .versions import next_version

_NODES = {**NODE_KEY, "first_minute": TIME, "inferred": "UInt8", "root": "UInt8", **FIGURES, "version": "UInt64"}
_EDGES = {**EDGE_KEY, "first_minute": TIME, **FIGURES, "version": "UInt64"}
_BELOW = {HOURS: MINUTES, DAYS: HOURS}
_CHUNK_SECONDS = {HOURS: DAY, DAYS: 32 * DAY}  # read in one statement: bounds its memory


def starts(seconds: Iterable[int], level: Level) -> set[int]:
    """The hours or days in which these moments lie (epoch seconds)."""
    return {second // level.seconds * level.seconds for second in seconds}


def replace_periods(engine: Engine, level: Level, periods: Iterable[int]) -> None:
    """Add up these hours or days (epoch seconds) from the level below. Raises StoreError, StoreBusy.

    The version is a time before the level below is read. So of two collectors that add up the same hour the one that
    replaced a minute last wins, and it has read that minute. Nodes last: an hour counts as done by them.
    """
    for chunk in _chunks(sorted(periods), level):
        version = next_version(engine, f"nodes_{level.suffix}", level.time, chunk)
        params = {"periods": chunk, "size": level.seconds, "first": chunk[0], "last": chunk[-1] + level.seconds}
        for table, spec in (("edges", _EDGES), ("nodes", _NODES)):
            columns = engine.query(leveled(f"sum_{table}", _BELOW[level]), params, {"max_threads": 1})
            columns[level.time] = columns.pop("period")
            block = marked({level.time: TIME, **spec}, columns, level.time, chunk, version)
            engine.insert(f"{table}_{level.suffix}", block)


def stale_periods(engine: Engine, level: Level, since: int) -> list[int]:
    """Hours or days (epoch seconds) that are missing or older than something below them, as a crash leaves them.

    And all with something below that was replaced since `since` (epoch ns): another collector may have written it
    between our reading and its own crash.
    """
    below = _BELOW[level]
    sql = leveled("stale_periods", level).replace("_BELOW", f"_{below.suffix}").replace("PART", below.time)
    found: list[int] = engine.query(sql, {"size": level.seconds, "since": since})["period"]
    return found


def _chunks(periods: list[int], level: Level) -> Iterator[Sequence[int]]:
    chunk: list[int] = []
    for period in periods:
        if chunk and period - chunk[0] >= _CHUNK_SECONDS[level]:
            yield chunk
            chunk = []
        chunk.append(period)
    if chunk:
        yield chunk
