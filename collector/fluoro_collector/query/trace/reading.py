"""Reading one trace. A large one by its outline first and then whole rows part by part, so that memory does not grow with
the trace; a small one in one statement.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fluoro.model import Kind, Segment
from fluoro_collector.query.sql import statement
from fluoro_collector.query.trace.tree import depth_first
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.segments import READ_COLUMNS, Row, from_columns

HOUR = 3600
MAX_SEGMENTS = 500_000  # of one trace; an outline takes some 400 bytes of memory for each
PART = 2_000  # whole rows read at one time
_SECOND = 1_000_000_000
_EARLIEST, _LATEST = 0, (1 << 32) - 1


@dataclass
class Outline:
    """The rows of a trace depth first, without their large columns: the i-th item of each list is of the i-th row.

    `parents` are indexes, -1 for a root or an orphan. `starts` are epoch ns, `durations` ns, 0 while in progress. `kinds`
    are those of `fluoro.model.Kind`. `truncated`: the trace has more than MAX_SEGMENTS rows, and these are the earliest.
    """

    trace_id: bytes
    truncated: bool
    parents: list[int]
    depths: list[int]
    ids: list[int]
    parent_ids: list[int]
    starts: list[int]
    durations: list[int]
    in_progress: list[int]
    kinds: list[int]
    subsegments: list[int]
    namespaces: list[str]
    services: list[str]
    names: list[str]
    operations: list[str]
    peer_names: list[str]
    peer_types: list[str]
    errors: list[int]
    throttles: list[int]
    faults: list[int]
    traced: list[int]
    resource_ids: list[int]
    whole: list[Row] | None = None  # the rows themselves, of a trace of at most PART rows

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def began(self) -> int:
        return min(self.starts)

    @property
    def ended(self) -> int:
        return max(map(sum, zip(self.starts, self.durations, strict=True)))

    def is_call(self, index: int) -> bool:
        return bool(self.subsegments[index] and self.namespaces[index])

    def answered(self) -> set[int]:
        """Indexes of the rows that a segment answers. A message that was taken from a queue is no answer."""
        return {
            parent
            for parent, subsegment, kind in zip(self.parents, self.subsegments, self.kinds, strict=True)
            if parent >= 0 and not subsegment and kind != Kind.CONSUMER
        }


def outline(engine: Engine, trace_id: bytes, now: float | None = None) -> Outline | None:
    """None when nothing is stored.

    The first four bytes of an id are its epoch second if an X-Ray SDK (or ours) made it: that hour and its neighbours
    are read first, which is a primary-key search. Everything that is stored is searched when nothing is there, a
    parent is missing, or the trace goes on to the end of what was read.
    """
    second = int.from_bytes(trace_id[:4], "big")
    if second <= (time.time() if now is None else now) + HOUR:
        begin = second // HOUR * HOUR
        columns = _read(engine, trace_id, max(begin - HOUR, _EARLIEST), min(begin + 2 * HOUR, _LATEST))
        if columns.values and columns.complete((begin + HOUR) * _SECOND):
            return columns.placed(trace_id)
    columns = _read(engine, trace_id, _EARLIEST, _LATEST)
    return columns.placed(trace_id) if columns.values else None


def _read(engine: Engine, trace_id: bytes, begin: int, until: int) -> _Columns:
    """Columns of `trace_outline.sql` by start, and the rows if they are few."""
    window = {"trace_id": trace_id, "from": begin, "until": until}
    few = from_columns(engine.query(_with_columns("trace_small"), {**window, "most": PART + 1}))
    if len(few) <= PART:
        few = sorted(_distinct(few), key=lambda row: (row.segment.start, row.segment.id))
        return _Columns([list(values) for values in zip(*map(_outlined, few), strict=True)], few)
    columns = engine.query(statement("trace_outline"), {**window, "most": MAX_SEGMENTS + 1})
    return _Columns(list(columns.values()), None)


class _Columns(NamedTuple):
    values: list[list[Any]]
    rows: list[Row] | None

    def complete(self, until: int) -> bool:
        """Whether nothing says that there is more: no parent is missing, and nothing reaches `until` (epoch ns)."""
        ids, parent_ids, starts, durations, *_ = self.values
        if len(ids) > MAX_SEGMENTS:
            return True
        last = max(map(sum, zip(starts, durations, strict=True)))
        return last < until and {0, *ids}.issuperset(parent_ids)

    def placed(self, trace_id: bytes) -> Outline:
        truncated = len(self.values[0]) > MAX_SEGMENTS
        columns = [values[:MAX_SEGMENTS] for values in self.values] if truncated else self.values
        tree = depth_first(columns[0], columns[1])
        ordered = ([values[place] for place in tree.order] for values in columns)
        found = Outline(trace_id, truncated, tree.parents, tree.depths, *ordered)
        if self.rows is not None:
            found.whole = [self.rows[place] for place in tree.order]
        return found


def _distinct(rows: Iterable[Row]) -> Iterable[Row]:
    """One row of each id, by the order that the statements have: finished, received last, longest."""
    best: dict[int, tuple[tuple[int, int, int], Row]] = {}
    for row in rows:
        segment = row.segment
        rank = (not segment.in_progress, row.received, _duration(segment))
        if segment.id not in best or rank > best[segment.id][0]:
            best[segment.id] = (rank, row)
    return [row for _, row in best.values()]


def _duration(segment: Segment) -> int:
    return 0 if segment.in_progress else max(segment.end - segment.start, 0)


def _outlined(row: Row) -> tuple[Any, ...]:
    """A row of `trace_outline.sql`."""
    segment = row.segment
    return (
        segment.id,
        segment.parent_id,
        segment.start,
        _duration(segment),
        segment.in_progress,
        segment.kind,
        segment.subsegment,
        segment.namespace,
        row.service,
        segment.name,
        segment.operation,
        row.peer_name,
        row.peer_type,
        segment.error,
        segment.throttle,
        segment.fault,
        segment.traced,
        row.resource_id,
    )


def _with_columns(name: str) -> str:
    return statement(name).replace("COLUMNS_TO_READ", READ_COLUMNS)


def parts(engine: Engine, found: Outline, indexes: Sequence[int], size: int = 0) -> Iterator[list[Row]]:
    """The whole rows at these indexes, in their order, `size` at a time (0: PART)."""
    whole = found.whole
    size = size or PART
    for first in range(0, len(indexes), size):
        wanted = indexes[first : first + size]
        yield _rows(engine, found, wanted) if whole is None else [whole[index] for index in wanted]


def _rows(engine: Engine, found: Outline, indexes: Sequence[int]) -> list[Row]:
    starts = [found.starts[index] for index in indexes]
    params = {
        "trace_id": found.trace_id,
        "from": min(starts),
        "until": max(starts),
        "ids": [found.ids[index] for index in indexes],
    }
    read = {row.segment.id: row for row in from_columns(engine.query(_with_columns("trace"), params))}
    # What was deleted since the outline was read keeps its place: later rows refer to it by index.
    return [read.get(found.ids[index]) or _remembered(found, index) for index in indexes]


def _remembered(found: Outline, index: int) -> Row:
    """A row as far as the outline knows it."""
    start = found.starts[index]
    segment = Segment(
        found.trace_id,
        found.ids[index],
        found.parent_ids[index],
        found.names[index],
        start,
        0 if found.in_progress[index] else start + found.durations[index],
        Kind(found.kinds[index]),
        bool(found.subsegments[index]),
        found.namespaces[index],
        found.operations[index],
        bool(found.errors[index]),
        bool(found.throttles[index]),
        bool(found.faults[index]),
        in_progress=bool(found.in_progress[index]),
        traced=bool(found.traced[index]),
    )
    return Row(
        segment, found.resource_ids[index], found.services[index], found.peer_names[index], found.peer_types[index], 0
    )


def rows(engine: Engine, trace_id: bytes, now: float | None = None) -> list[Row]:
    """All rows of a trace depth first, whole and in memory; [] when there are none."""
    found = outline(engine, trace_id, now)
    return [] if found is None else [row for part in parts(engine, found, range(len(found))) for row in part]
