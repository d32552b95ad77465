"""What the filter box can offer: values of a keyword, keys of annotations; from hours that are up to five minutes old."""

from __future__ import annotations

import math

from fluoro_collector.query.graph.levels import HOUR
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

LIMIT = 100  # kept per key and hour: a longer list would be incomplete


def values(
    engine: Engine, start: float, end: float, key: str, prefix: str = "", limit: int = LIMIT
) -> list[tuple[str, int]]:
    """(value, traces) of the hours that overlap [start, end) (epoch seconds), most frequent first.

    `key` is a filter keyword ("http.method", "http.url", "http.status", "http.useragent", "http.clientip", "user"),
    "service" or "type" for nodes of the map, or "annotation." and a key. An unknown key has no values. `prefix` takes upper
    and lower case as one. Values longer than 128 characters are not offered.
    """
    params = {**_hours(start, end), "key": key, "prefix": prefix, "limit": limit}
    columns = engine.query(statement("completion_values"), params)
    return list(zip(columns["value"], columns["traces"], strict=True))


def keys(engine: Engine, start: float, end: float, prefix: str = "", limit: int = LIMIT) -> list[tuple[str, int]]:
    """(annotation key, rows with it) of the hours that overlap [start, end), most frequent first."""
    columns = engine.query(statement("completion_keys"), {**_hours(start, end), "prefix": prefix, "limit": limit})
    return list(zip(columns["name"], columns["rows"], strict=True))


def _hours(start: float, end: float) -> dict[str, int]:
    return {"first": math.floor(start / HOUR) * HOUR, "last": math.ceil(end / HOUR) * HOUR}
