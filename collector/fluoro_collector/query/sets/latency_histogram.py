"""How long things took: a histogram of matching traces, of a node, or of an edge. Buckets are those of `store/histogram.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Literal

import msgspec

from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.graph.filtered_graph import filtered_graph
from fluoro_collector.query.graph.graph_minutes import Dirty
from fluoro_collector.query.search.matching import BUCKET, OUTCOME, OUTCOMES, UNFINISHED, matching
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.histogram import FIRST, LAST, PER_OCTAVE, bucket, bucket_sql, quantile

Of = Literal["responsetime", "duration"]
_COLUMNS = {
    "responsetime": (OUTCOME, BUCKET),
    "duration": (OUTCOME, f"{bucket_sql('lasted')} AS bucket"),
}


class Bucket(msgspec.Struct, kw_only=True):
    """What took from `low` to less than `high` seconds; `high` null = no bound.

    The bounds are exact: a search for `responsetime >= low AND responsetime < high` finds `total` traces. Outcomes are those
    of the traces' roots; null for a node or an edge, whose rollups do not keep them by bucket.
    """

    low: float
    high: float | None
    ok: int | None
    error: int | None
    throttle: int | None
    fault: int | None
    total: int


class Histogram(msgspec.Struct, kw_only=True):
    """Neighbouring buckets from the first to the last in use, empty ones between them too; [] when nothing has finished.

    `of`: "responsetime" (of the root) or "duration" (first start to last end) of traces, "node" or "edge" (their requests).
    `unfinished` are counted in no bucket: traces whose root is in progress; of a node or an edge, its requests in
    progress. Quantiles in seconds, at most 9 % off, null when nothing has finished.
    """

    of: str
    buckets: list[Bucket]
    total: int
    unfinished: int
    p50: float | None
    p95: float | None
    p99: float | None


def traces_histogram(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    filter_text: str = "",
    of: Of = "responsetime",
    *,
    groups: Groups = no_groups,
) -> Histogram:
    """Of the traces that began in [start, end) (epoch seconds) and match. Raises FilterError."""
    counts: dict[int, list[int]] = {}
    for part in matching(engine, dirty, start, end, filter_text, _COLUMNS[of], groups=groups):
        columns = engine.query(part.within("latency_histogram"), part.params)
        for index, outcome, traces in zip(columns["bucket"], columns["outcome"], columns["traces"], strict=True):
            counts.setdefault(index, [0] * len(OUTCOMES))[outcome] += traces
    unfinished = sum(counts.pop(UNFINISHED, ()))
    totals = {index: sum(by_outcome) for index, by_outcome in counts.items()}
    return _histogram(of, totals, unfinished, counts)


def node_histogram(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    element: str,
    filter_text: str = "",
    *,
    groups: Groups = no_groups,
) -> Histogram | None:
    """Of the requests of a node ("name|type") or the calls of an edge ("source->target", as the map gives ids); None when
    the map has no such element. With a filter only those of matching traces. Raises FilterError.

    An edge may be there twice, as a call and as a message that was taken: both count.
    """
    graph = filtered_graph(engine, dirty, start, end, filter_text, groups)
    node = next((each for each in graph.nodes if each.id == element), None)
    found = [node] if node is not None else [each for each in graph.edges if each.id == element]
    if not found:
        return None
    totals: dict[int, int] = {}
    for each in found:
        for seconds, count in each.histogram:
            index = bucket(round(seconds * 1e9))
            totals[index] = totals.get(index, 0) + count
    unfinished = sum(each.total for each in found) - sum(totals.values())
    return _histogram("edge" if node is None else "node", totals, unfinished, None)


def _histogram(
    of: str, totals: Mapping[int, int], unfinished: int, outcomes: Mapping[int, list[int]] | None
) -> Histogram:
    none = [0] * len(OUTCOMES)
    return Histogram(
        of=of,
        buckets=[
            Bucket(
                low=bounds(index)[0],
                high=bounds(index)[1],
                total=totals.get(index, 0),
                **dict(zip(OUTCOMES, [None] * 4 if outcomes is None else outcomes.get(index, none), strict=True)),
            )
            for index in (range(min(totals), max(totals) + 1) if totals else ())
        ],
        total=sum(totals.values()),
        unfinished=unfinished,
        p50=quantile(totals, 0.5),
        p95=quantile(totals, 0.95),
        p99=quantile(totals, 0.99),
    )


@cache
def bounds(index: int) -> tuple[float, float | None]:
    """The seconds from which a duration is in this bucket, and those from which it is in a later one."""
    low = 0.0 if index == 0 else _first(index) / 1e9
    return low, None if index == LAST else _first(index + 1) / 1e9


def _first(index: int) -> int:
    """The least duration (ns) of a bucket."""
    bound: float = 2.0 ** ((index + FIRST) / PER_OCTAVE)
    return math.ceil(bound)
