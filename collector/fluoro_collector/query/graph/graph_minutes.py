"""Nodes and edges of the service map by minute, computed from `segments`: what the rollup stores and a live answer adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from functools import cache, partial
from itertools import compress
from typing import Any, NamedTuple, TypeVar

from fluoro_collector.query.memo import Memo
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

T = TypeVar("T")

MINUTE = 60
ALL_SETTLED = 2**62  # ms: whatever is there counts, however new
_CHUNK = 60  # minutes computed live in one statement


class Live(NamedTuple):
    """What a live answer computes: `minutes` whose stored rows are out of date (epoch seconds, ascending), and until when
    rows must have been received to be settled (epoch ms).

    `memo` keeps answers (None: nothing is kept): live ones as long as `state` is the same, those from stored rows as long
    as `version` is. `stale_hours` and `stale_days` (epoch seconds) are not to be read: what is in them has changed.
    """

    minutes: list[int]
    settled_ms: int
    memo: Memo | None = None
    state: Hashable = None
    version: int = 0
    stale_hours: Collection[int] = ()
    stale_days: Collection[int] = ()

    def kept(self, key: Hashable, compute: Callable[[], T]) -> T:
        """`compute()`, or what it gave for this key before."""
        return compute() if self.memo is None else self.memo.get(key, compute)


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
    columns = engine.query(observing("graph_minutes"), params, {"max_threads": 1})
    columns["histogram"] = [Counter(buckets) for buckets in columns.pop("buckets")]
    return columns


class Minutes(NamedTuple):
    """`columns` as those of `graph_minutes`. `observed`: the column of `traces`, by trace id."""

    columns: dict[str, list[Any]]
    observed: dict[bytes, list[str]]


def rolled_minutes(engine: Engine, minutes: Sequence[int]) -> Minutes:
    """What is stored of these minutes (epoch seconds, ascending), all in one pass over their segments."""
    params: dict[str, Any] = {"minutes": list(minutes), "first": minutes[0], "last": minutes[-1] + MINUTE}
    params.update(ids=[], settled=ALL_SETTLED)
    columns = engine.query(observing("rolled_minutes"), params, {"max_threads": 1})
    of_traces = [not minute for minute in columns["minute"]]  # they have the minute 0
    ids, texts = columns.pop("trace_id"), columns.pop("observed")
    observed = dict(zip(compress(ids, of_traces), compress(texts, of_traces), strict=True))
    columns = {name: list(compress(values, columns["minute"])) for name, values in columns.items()}
    columns["histogram"] = [Counter(buckets) for buckets in columns.pop("buckets")]
    return Minutes(columns, observed)


@cache
def observing(name: str) -> str:
    """The statement `query/{name}.sql` with the common table expressions of `observations.sql` before its SELECT."""
    return statement(name).replace("OBSERVATIONS\n", _observations_of_the_map(), 1)


def observations(figures: str, chosen: str) -> str:
    """`observations.sql` with the tuple of five that each observation carries, and the condition on the rows it reads."""
    before, _, rest = statement("observations").partition("FIGURES AS figures\n")
    between, _, after = rest.partition("WHERE CHOSEN\n")
    return f"{before}{figures} AS figures\n{between}WHERE {chosen}\n{after}"


@cache
def _observations_of_the_map() -> str:
    return observations(statement("observation_figures").rstrip(), statement("touched_rows").rstrip())


def live_minutes(engine: Engine, live: Live) -> Iterator[dict[str, list[Any]]]:
    """`graph_minutes` of the dirty minutes, part by part. The columns belong to all who ask: read only."""
    for minutes in _chunks(live.minutes):
        compute = partial(graph_minutes, engine, minutes, settled_ms=live.settled_ms)
        yield live.kept(("live", live.state, *minutes), compute)


def _chunks(minutes: Sequence[int]) -> Iterator[Sequence[int]]:
    """Parts of at most an hour: what one live statement may read is bounded."""
    begin = 0
    for index in range(1, len(minutes) + 1):
        if index == len(minutes) or minutes[index] - minutes[begin] >= _CHUNK * MINUTE:
            yield minutes[begin:index]
            begin = index
