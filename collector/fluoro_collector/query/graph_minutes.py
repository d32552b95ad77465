"""Nodes and edges of the service map by minute, computed from `segments`: what the rollup stores and a live answer adds."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from fluoro_collector.store.engine import Engine

from .sql import statement

MINUTE = 60
ALL_SETTLED = 2**62  # ms: whatever is there counts, however new


class Live(NamedTuple):
    """What a live answer computes: `minutes` whose stored rows are out of date (epoch seconds, ascending), and until when
    rows must have been received to be settled (epoch ms).
    """

    minutes: list[int]
    settled_ms: int


Dirty = Callable[[int, int], Live]  # (first, last) of a range in epoch seconds; `Rollup.dirty`


def graph_minutes(
    engine: Engine, minutes: Collection[int], ids: Collection[bytes] = (), *, settled_ms: int = ALL_SETTLED
) -> dict[str, list[Any]]:
    """Columns of `graph_minutes.sql` for these minutes (epoch seconds, multiples of 60, at least one).

    `relation` is "node" (the key is the target), "sync" or "link". Whole traces decide, in a window of one hour around
    the minutes: a callee that starts later than that counts as inferred. Counts hold every row once, finished or not;
    times and histogram only finished ones. With `ids` only these traces are looked at. A row received after `settled_ms`
    makes no inferred node and no client: its counterpart may be on the way.
    """
    wanted = sorted(set(minutes))
    params: dict[str, Any] = {"minutes": wanted, "first": wanted[0], "last": wanted[-1] + MINUTE, "ids": list(ids)}
    params["settled"] = settled_ms
    return engine.query(statement("graph_minutes"), params)
