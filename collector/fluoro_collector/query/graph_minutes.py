"""Nodes and edges of the service map by minute, computed from `segments`: what the rollup stores and a live answer adds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fluoro_collector.store.engine import Engine

from .sql import statement

MINUTE = 60


def graph_minutes(engine: Engine, minutes: Collection[int], ids: Collection[bytes] = ()) -> dict[str, list[Any]]:
    """Columns of `graph_minutes.sql` for these minutes (epoch seconds, multiples of 60, at least one).

    `relation` is "node" (the key is the target), "sync" or "link". Whole traces decide, in a window of one hour around
    the minutes: a callee that starts later than that counts as inferred. Counts hold every row once, finished or not;
    times and histogram only finished ones. With `ids` only these traces are looked at.
    """
    wanted = sorted(set(minutes))
    params = {"minutes": wanted, "first": wanted[0], "last": wanted[-1] + MINUTE, "ids": list(ids)}
    return engine.query(statement("graph_minutes"), params)
