"""The most frequent values of an annotation, or of another facet, among matching traces; and how traces with each fare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.graph.graph_minutes import Dirty
from fluoro_collector.query.graph.statistics import Statistics
from fluoro_collector.query.search.matching import BUCKET, OUTCOME, OUTCOMES, Matching, matching
from fluoro_collector.query.sets.facets import ANNOTATION, KEYS, ROW_VALUES, TRACE_VALUES, filter_for, hosts
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

MAX_MERGED = 50_000  # values of one slice, when there are several: bounds what is kept


class FacetError(ValueError):
    """There is no such key; the text names those that are."""


class TopValue(msgspec.Struct, kw_only=True):
    """One value. `traces` have it on some row; outcomes are those of their roots, `failing` is error + throttle + fault.

    `share` = traces / all matching ones; of a facet with several values a trace, shares may add up to more than 1. Quantiles
    of the roots' response times in seconds, null when none has finished. `filter` is the expression that finds these traces,
    null where the filter language cannot say it.
    """

    value: str
    traces: int
    share: float
    ok: int
    error: int
    throttle: int
    fault: int
    failing: int
    p50: float | None
    p95: float | None
    filter: str | None


class TopValues(msgspec.Struct, kw_only=True):
    """The most frequent first. `total` matching traces, with a value or without; `values` different ones there are.

    `exact`: false when a filter that needs several slices meets over 50,000 values in one of them: rare values may then
    be counted too low, and `values` is the number of those seen.
    """

    key: str
    total: int
    values: int
    exact: bool
    top: list[TopValue]


def top_values(
    engine: Engine,
    dirty: Dirty,
    start: float,
    end: float,
    key: str,
    filter_text: str = "",
    limit: int = 20,
    *,
    groups: Groups = no_groups,
) -> TopValues:
    """Of the traces that began in [start, end) (epoch seconds) and match. `key` is one of KEYS or "annotation.NAME".

    Reads `traces`; for annotations, versions and hosts the segments that have one. Raises FilterError, FacetError.
    """
    sums: dict[tuple[str, int], Statistics] = {}
    values = total = 0
    exact = True
    slices = list(_slices(engine, dirty, start, end, key, filter_text, groups))
    most = limit if len(slices) == 1 else MAX_MERGED
    for part, sql, more in slices:
        total += engine.query(part.within("count_matching"), part.params)["count"][0]
        found = engine.query(sql, {**part.params, **more, "value_limit": most})
        for value, number, traces, *figures, histogram, among in zip(*found.values(), strict=True):
            values = max(values, among)
            exact = exact and (len(slices) == 1 or among <= most)
            sums.setdefault((value, number), Statistics()).add((*figures, traces, 0, histogram))
    ordered = sorted(sums.items(), key=lambda item: (-item[1].total, item[0]))
    return TopValues(
        key=key,
        total=total,
        values=max(values, len(sums)),
        exact=exact,
        top=[_value(key, *each, total) for each in ordered[:limit]],
    )


def _slices(
    engine: Engine, dirty: Dirty, start: float, end: float, key: str, filter_text: str, groups: Groups
) -> Iterator[tuple[Matching, str, dict[str, Any]]]:
    """Each slice with its statement and that one's further parameters."""
    if key in TRACE_VALUES:
        values = (
            f"arrayMap(value -> (value, toUInt8(0)), arrayFilter(value -> value != '', {TRACE_VALUES[key]})) AS found"
        )
        for part in matching(engine, dirty, start, end, filter_text, (OUTCOME, BUCKET, values), groups=groups):
            yield part, part.within("top_values"), {}
        return
    has, value, more = _of_rows(engine, key)
    for part in matching(engine, dirty, start, end, filter_text, ("trace_id", OUTCOME, BUCKET), groups=groups):
        chosen = f"trace_id IN ({part.ids})" if filter_text.strip() else "1"
        sql = statement("top_row_values")
        for word, text in (("OF_MATCHING\n", f"{chosen}\n"), ("HAS\n", f"{has}\n"), ("MATCHING\n", f"{part.sql}\n")):
            sql = sql.replace(word, text)
        yield part, sql.replace("VALUE.", f"{value}."), more


def _of_rows(engine: Engine, key: str) -> tuple[str, str, dict[str, Any]]:
    """The condition that a row has a value, the pair (value, is it a number), and their parameters."""
    name = key.removeprefix(ANNOTATION)
    if name != key and name:
        text, number = "mapContains(annotations, {key:String})", "mapContains(numbers, {key:String})"
        pair = f"if({text}, (annotations[{{key:String}}], toUInt8(0)), (toString(numbers[{{key:String}}]), toUInt8(1)))"
        return f"({text} OR {number})", pair, {"key": name}
    if key not in ROW_VALUES:
        raise FacetError(f"key must be annotation.NAME or one of {', '.join(KEYS)}")
    has, value = ROW_VALUES[key]
    return has, f"({value}, toUInt8(0))", hosts(engine) if key == "host" else {}


def _value(key: str, value: tuple[str, int], sums: Statistics, total: int) -> TopValue:
    return TopValue(
        value=value[0],
        traces=sums.total,
        share=sums.total / total if total else 0.0,
        failing=sums.total - sums.ok,
        p50=sums.quantile(0.5),
        p95=sums.quantile(0.95),
        filter=filter_for(key, value[0], number=bool(value[1])),
        **{name: getattr(sums, name) for name in OUTCOMES},
    )
