"""Replace hours of what the filter box can offer: `traces`, `segments` → `completions_1h`."""

from __future__ import annotations

from fluoro_collector.query.graph.levels import HOUR
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

from .minutes import LOW, TIME, marked
from .versions import next_version

VALUES = 100  # kept per key and hour
LONGEST = 128  # characters of a value, or of an annotation key
KEYS = 1000  # annotation keys kept per hour
SAMPLE = 20_000  # traces asked for their values in an hour: bounds memory and time
_COLUMNS = {"hour": TIME, "key": LOW, "value": "String", "traces": "UInt64", "version": "UInt64"}


def replace_completions(engine: Engine, hour: int) -> None:
    """Compute this hour (epoch seconds) anew. Raises StoreError, StoreBusy.

    An hour with more than `SAMPLE` traces is asked by a sample of them, chosen by their ids.
    """
    version = next_version(engine, "completions_1h", "hour", [hour])
    params = {"first": hour, "last": hour + HOUR}
    traces = int(engine.query(statement("count_stored"), params)["traces"][0])
    params.update(every=max(1, traces // SAMPLE), most=VALUES, longest=LONGEST, keys=KEYS)
    columns = engine.query(statement("completions"), params, {"max_threads": 1})
    columns["hour"] = [hour] * len(columns["key"])
    engine.insert("completions_1h", marked(_COLUMNS, columns, "hour", [hour], version))


def stale_completions(engine: Engine) -> list[int]:
    """Hours (epoch seconds) whose completions are missing or older than the map of the hour."""
    found: list[int] = engine.query(statement("stale_completions"))["hour"]
    return found
