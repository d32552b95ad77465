"""What sets some traces apart from others: the values that are over-represented in them.

Each value of each facet (annotations, services, operations, versions, hosts, users, …) is counted in both sets. A value matters
as much as its share differs, and as far as that is not chance: the rank is the lower bound of the 95 % confidence
interval of share − base share (Newcombe's, from Wilson's score intervals, which are sound for few traces and for none). So a value
in 3 of 3 traces does not outrank one in 900 of 1,000, and a value that is everywhere ranks nowhere. This is a hint at where to
look, not a test of a hypothesis: of hundreds of values a few are above 0 by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.graph.graph_minutes import Dirty
from fluoro_collector.query.search.matching import SECOND, matching
from fluoro_collector.query.sets.facets import ROW_VALUES, TRACE_VALUES, filter_for, hosts
from fluoro_collector.query.sets.latency_histogram import bounds, traces_histogram
from fluoro_collector.query.sets.proportions import difference
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.histogram import bucket

CANDIDATES = 100  # values of each key, the most frequent of the set; others are not looked at
MAX_CANDIDATES = 5000
SLICE_TRACES = 50_000  # read at one time, if they come evenly: bounds the memory of a statement
MIN_TRACES = 3  # of the set, for a value to be a candidate
Z = 1.96
FAILING = "!ok"

Facet = tuple[str, str, int]  # key, value, is it a number

_TRACE_FACETS = ", ".join(
    f"arrayMap(value -> ('{key}', value, toUInt8(0)), arrayFilter(value -> value != '', {values}))"
    for key, values in TRACE_VALUES.items()
)
_ROW_FACETS = ", ".join(
    f"if({has}, [('{key}', toString({value}), toUInt8(0))], [])" for key, (has, value) in ROW_VALUES.items()
)


class ComparedValue(msgspec.Struct, kw_only=True):
    """A value that is over-represented: in `traces` of the set and in `base_traces` of the other.

    `difference` = share − base share (0 to 1), `low` and `high` its 95 % confidence bounds; `ratio` = share / base share, null when the
    base has none. `filter` finds the traces with this value, null where the filter language cannot say it.
    """

    key: str
    value: str
    traces: int
    base_traces: int
    share: float
    base_share: float
    difference: float
    low: float
    high: float
    ratio: float | None
    filter: str | None


class Comparison(msgspec.Struct, kw_only=True):
    """`filter` and `base` as they were compared, `traces` and `base_traces` how many match. Greatest `low` first.

    `candidates` values were looked at: the 100 most frequent of the set by key, in at least 3 traces, at most 5,000.
    """

    filter: str
    base: str
    traces: int
    base_traces: int
    candidates: int
    values: list[ComparedValue]


def comparison(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    filter_text: str = "",
    base_text: str = "",
    limit: int = 50,
    *,
    groups: Groups = no_groups,
) -> Comparison:
    """Traces that began in [start, end) (epoch seconds) and match `filter_text`, against those that match `base_text`.

    Without a filter: failing roots, and those slower than the 95th percentile of the range. Without a base: all others of
    the range. Reads every segment of both sets, in slices of some 50,000 traces. Raises FilterError.
    """
    chosen = filter_text.strip() or _failing_or_slow(engine, dirty, start, end, groups)
    base = base_text.strip() or f"!({chosen})"
    counting = _Counting(engine, dirty, start, end, groups)
    total, found, cut = counting.set(chosen, ())
    ranked = sorted(
        (facet for facet, count in found.items() if count >= MIN_TRACES), key=lambda facet: (-found[facet], facet)
    )
    by_key: dict[str, int] = {}
    wanted: list[Facet] = []
    for facet in ranked[: 10 * MAX_CANDIDATES]:
        by_key[facet[0]] = by_key.get(facet[0], 0) + 1
        if by_key[facet[0]] <= CANDIDATES and len(wanted) < MAX_CANDIDATES:
            wanted.append(facet)
    if cut and wanted:
        _, found, _ = counting.set(chosen, wanted)
    base_total, base_found, _ = counting.set(base, wanted) if wanted else (counting.total(base), {}, False)
    values = [_value(facet, found[facet], total, base_found.get(facet, 0), base_total) for facet in wanted]
    values = [value for value in values if value.low > 0]
    values.sort(key=lambda value: (-value.low, value.key, value.value))
    return Comparison(
        filter=chosen,
        base=base,
        traces=total,
        base_traces=base_total,
        candidates=len(wanted),
        values=values[:limit],
    )


class _Counting:
    """Counts facets of sets of traces in one range."""

    def __init__(self, engine: Engine, dirty: Dirty, start: float, end: float, groups: Groups) -> None:
        self._engine, self._dirty, self._range, self._groups = engine, dirty, (start, end), groups
        self._hosts = hosts(engine)

    def total(self, text: str) -> int:
        parts = matching(self._engine, self._dirty, *self._range, text, ("trace_id",), groups=self._groups)
        return sum(self._engine.query(part.within("count_matching"), part.params)["count"][0] for part in parts)

    def set(self, text: str, wanted: Iterable[Facet]) -> tuple[int, dict[Facet, int], bool]:
        """The number of traces, how many have each facet, and whether rare ones of a slice may be missing."""
        total = self.total(text)
        columns = ("trace_id", f"arrayConcat({_TRACE_FACETS}) AS facets")
        start, end = self._range
        longest = math.ceil((end - start) / max(math.ceil(total / SLICE_TRACES), 1)) * SECOND
        chosen = list(wanted)
        most = len(chosen) or 10 * CANDIDATES
        cut = False
        found: dict[Facet, int] = {}
        parts = matching(self._engine, self._dirty, start, end, text, columns, groups=self._groups, longest=longest)
        for part in parts if total else ():
            params = {**part.params, **self._hosts, "wanted": chosen, "most": most}
            rows = part._replace(sql=part.ids).within("row_facets").replace("ROW_FACETS\n", f"{_ROW_FACETS}\n")
            for sql in (part.within("trace_facets"), rows):
                by_key: dict[str, int] = {}
                for key, value, number, count in zip(*self._engine.query(sql, params).values(), strict=True):
                    by_key[key] = by_key.get(key, 0) + 1
                    found[key, value, number] = found.get((key, value, number), 0) + count
                cut = cut or (not chosen and max(by_key.values(), default=0) >= most)
        return total, found, cut


def _failing_or_slow(engine: Engine, dirty: Dirty, start: float, end: float, groups: Groups) -> str:
    """Slow is what takes longer than the bucket of the 95th percentile: nothing when all take the same time."""
    p95 = traces_histogram(engine, dirty, start, end, groups=groups).p95
    slow = None if p95 is None else bounds(bucket(round(p95 * 1e9)))[1]
    return FAILING if slow is None else f"{FAILING} OR responsetime >= {slow:.9f}"


def _value(facet: Facet, traces: int, total: int, base_traces: int, base_total: int) -> ComparedValue:
    key, value, number = facet
    found = difference(traces, total, base_traces, base_total, Z)
    share = traces / total if total else 0.0
    base_share = base_traces / base_total if base_total else 0.0
    return ComparedValue(
        key=key,
        value=value,
        traces=traces,
        base_traces=base_traces,
        share=share,
        base_share=base_share,
        difference=found.value,
        low=found.low,
        high=found.high,
        ratio=share / base_share if base_share else None,
        filter=filter_for(key, value, number=bool(number)),
    )
