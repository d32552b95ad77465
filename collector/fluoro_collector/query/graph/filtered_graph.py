"""The service map of chosen traces: those that a filter finds, or a list of ids. Every one of them counts: no sampling.

The ids come in pages, and `graph_minutes` computes the map of each page from its segments; so the cost is that of the
search and some 10 µs of CPU per segment of a matching trace, and memory is bounded by the page, not by the range. A
question that holds more than a reader's time allows ends as `StoreBusy`: no count is guessed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from fluoro_collector.query.filter.groups import Groups, no_groups
from fluoro_collector.query.graph.graph_minutes import ALL_SETTLED, MINUTE, Dirty, graph_minutes
from fluoro_collector.query.graph.service_graph import Graph, ServiceGraph, service_graph
from fluoro_collector.query.search.cursor import Position
from fluoro_collector.query.search.search import search
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

HOUR = 3600
PAGE = 5000  # traces asked for in one statement
CHUNK_ROWS = 200_000  # segments computed in one statement: bounds its memory
_LATEST = (1 << 32) - 1


class _Extent(NamedTuple):
    """A trace's rows: how many, and in which minutes (epoch seconds)."""

    trace_id: bytes
    rows: int
    minutes: list[int]
    orphans: bool


def filtered_graph(
    engine: Engine, dirty: Dirty, start: float, end: float, filter_text: str = "", groups: Groups = no_groups
) -> ServiceGraph:
    """The map of the traces that began in [start, end) (epoch seconds) and match: all their requests and calls.

    So its counts are those of a search with the same range and filter, also where a trace goes on after `end`. Without a
    filter it is the map of the range, `service_graph`. Raises FilterError.
    """
    if not filter_text.strip():
        return service_graph(engine, dirty, start, end)
    graph = Graph()
    for columns in filtered_minutes(engine, dirty, start, end, filter_text, groups):
        graph.add_minutes(columns)
    answer = graph.answer(0, 0)
    since = None if answer.since is None else max(answer.since, start)
    return msgspec.structs.replace(answer, start=start, end=end, since=since)


def filtered_minutes(
    engine: Engine, dirty: Dirty, start: float, end: float, filter_text: str, groups: Groups = no_groups
) -> Iterator[dict[str, list[Any]]]:
    """`graph_minutes` of the traces that began in [start, end) and match, part by part; a filter must be given."""
    settled_ms = dirty(int(start), int(start)).settled_ms
    for found in _pages(engine, dirty, start, end, filter_text, groups):
        seconds = [position.start // 1_000_000_000 for position in found]
        window = max(min(seconds) - HOUR, 0), min(max(seconds) + 2 * HOUR, _LATEST)
        extents = _extents(engine, [position.trace_id for position in found], *window)
        yield from _parts(engine, extents, settled_ms)


def traces_graph(engine: Engine, ids: Sequence[bytes], *, settled_ms: int = ALL_SETTLED) -> ServiceGraph:
    """The map of these traces (16 bytes each), wherever they lie; ids that are not stored are ignored.

    `start` and `end` of the answer are the minutes that hold them, 0 when there is none.
    """
    graph = Graph()
    extents = _find(engine, list(dict.fromkeys(ids)))
    for columns in _parts(engine, extents, settled_ms):
        graph.add_minutes(columns)
    minutes = [minute for extent in extents for minute in extent.minutes]
    return graph.answer(min(minutes, default=0), max(minutes) + MINUTE if minutes else 0)


def _pages(
    engine: Engine, dirty: Dirty, start: float, end: float, filter_text: str, groups: Groups
) -> Iterator[list[Position]]:
    cursor: Position | None = None
    while True:
        found, cursor = search(engine, dirty, start, end, filter_text, PAGE, cursor, groups=groups)
        if found:
            yield found
        if cursor is None:
            return


def _extents(engine: Engine, ids: list[bytes], begin: int, until: int) -> list[_Extent]:
    columns = engine.query(statement("trace_extents"), {"ids": ids, "from": begin, "until": until})
    return [_Extent(*row) for row in zip(*columns.values(), strict=True)]


def _find(engine: Engine, ids: list[bytes]) -> list[_Extent]:
    """As `trace.rows`: first around the second that begins an X-Ray id, then everywhere."""
    if not ids:
        return []
    latest = time.time() + HOUR
    dated: dict[int, list[bytes]] = {}
    for trace_id in ids:
        second = int.from_bytes(trace_id[:4], "big")
        if second <= latest:
            dated.setdefault(second // HOUR * HOUR, []).append(trace_id)
    found: dict[bytes, _Extent] = {}
    for hour, some in dated.items():
        for extent in _extents(engine, some, max(hour - HOUR, 0), min(hour + 2 * HOUR, _LATEST)):
            if not extent.orphans and max(extent.minutes) < hour + HOUR:
                found[extent.trace_id] = extent
    rest = [trace_id for trace_id in ids if trace_id not in found]
    if rest:
        found.update((extent.trace_id, extent) for extent in _extents(engine, rest, 0, _LATEST))
    return list(found.values())


def _parts(engine: Engine, extents: Iterable[_Extent], settled_ms: int) -> Iterator[dict[str, list[Any]]]:
    """The requests and calls of these traces, in statements of bounded size over neighbouring minutes."""
    chunk: list[_Extent] = []
    rows = 0
    for extent in sorted(extents, key=lambda each: min(each.minutes)):
        apart = chunk and min(extent.minutes) - min(chunk[-1].minutes) > HOUR
        if chunk and (apart or rows + extent.rows > CHUNK_ROWS):
            yield _computed(engine, chunk, settled_ms)
            chunk, rows = [], 0
        chunk.append(extent)
        rows += extent.rows
    if chunk:
        yield _computed(engine, chunk, settled_ms)


def _computed(engine: Engine, extents: list[_Extent], settled_ms: int) -> dict[str, list[Any]]:
    minutes = {minute for extent in extents for minute in extent.minutes}
    ids = [extent.trace_id for extent in extents]
    return graph_minutes(engine, minutes, ids, settled_ms=settled_ms)
