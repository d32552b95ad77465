"""One trace by id: its segments in depth-first order, and notes on the whole. Any part of it, or all of it as a stream."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from fluoro_collector.query.ids import format_trace_id
from fluoro_collector.query.resource_places import Place, place_of, resource_places
from fluoro_collector.query.trace.notes import Notes, clock_skews, notes
from fluoro_collector.query.trace.reading import Outline, outline, parts, rows
from fluoro_collector.query.trace.views import SegmentView, resource_view, segment_view
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.resources import read as read_resources

__all__ = ["SegmentView", "Trace", "rows", "trace", "trace_json"]

_SECOND = 1_000_000_000
_FEW = 200  # resources that are kept for a whole answer
_encode = msgspec.json.encode


class Trace(msgspec.Struct, kw_only=True):
    """`start` in epoch seconds; `duration` from the first start to the last end. `partial`: something is in progress.

    `count` is the number of its segments. `segments` are those asked for, all without a limit; `next` is the index to ask
    for after them, null when there are no more. `notes` are null on pages after the first. `truncated`: more segments are
    stored than the collector reads of one trace, and these are the earliest.
    """

    id: str
    start: float
    duration: float
    partial: bool
    truncated: bool
    count: int
    next: int | None
    notes: Notes | None
    segments: list[SegmentView]


class _Found:
    """A trace whose outline is read."""

    def __init__(self, engine: Engine, found: Outline, after: int, limit: int | None) -> None:
        self.engine = engine
        self.outline = found
        first = after + 1
        self.indexes = range(first, len(found) if limit is None else min(first + limit, len(found)))
        self.began = found.began
        self.resources: dict[int, dict[str, Any]] = {}
        places = self._places()
        self.skews = clock_skews(found, places)
        last = self.indexes.stop
        self.head = Trace(
            id=format_trace_id(found.trace_id),
            start=self.began / _SECOND,
            duration=(found.ended - self.began) / _SECOND,
            partial=any(found.in_progress),
            truncated=found.truncated,
            count=len(found),
            next=last - 1 if last < len(found) else None,
            notes=notes(found, self.skews, places) if first == 0 else None,
            segments=[],
        )

    def views(self) -> Iterator[list[SegmentView]]:
        """The segments, part by part."""
        first = self.indexes.start
        for found in parts(self.engine, self.outline, self.indexes):
            self._read_resources([row.resource_id for row in found])
            yield [
                segment_view(
                    row,
                    self.outline.parents[index],
                    self.outline.depths[index],
                    self.began,
                    self.skews[index],
                    self.resources.get(row.resource_id, {}),
                )
                for index, row in enumerate(found, first)
            ]
            first += len(found)

    def _places(self) -> dict[int, Place]:
        """Of the resources, which are kept if they are few."""
        ids = set(self.outline.resource_ids)
        if len(ids) > _FEW:
            return resource_places(self.engine, ids)
        resources = read_resources(self.engine, list(ids))
        self.resources = {id_: resource_view(resource) for id_, resource in resources.items()}
        return {id_: place_of(resource) for id_, resource in resources.items()}

    def _read_resources(self, ids: Collection[int]) -> None:
        missing = {id_ for id_ in ids if id_ not in self.resources}
        if missing:
            # Dropped, so that a sender that makes a resource of each segment does not fill the memory.
            read = read_resources(self.engine, sorted(set(ids)))
            self.resources = {id_: resource_view(resource) for id_, resource in read.items()}


def trace(engine: Engine, trace_id: bytes, after: int = -1, limit: int | None = None) -> Trace | None:
    """The trace, or None when it is not stored. With `limit` that many segments after the one with index `after`."""
    found = outline(engine, trace_id)
    if found is None:
        return None
    wanted = _Found(engine, found, after, limit)
    wanted.head.segments = [view for views in wanted.views() for view in views]
    return wanted.head


def trace_json(engine: Engine, trace_id: bytes, after: int = -1, limit: int | None = None) -> Iterator[bytes] | None:
    """The JSON of `trace` in pieces, of some thousand segments each: memory holds the outline and one piece.

    The outline is read before this returns; None when the trace is not stored.
    """
    found = outline(engine, trace_id)
    return None if found is None else _pieces(_Found(engine, found, after, limit))


def _pieces(wanted: _Found) -> Iterator[bytes]:
    head = _encode(wanted.head)[: -len(b"]}")]  # `segments` is the last member
    written = 0
    for views in wanted.views():
        before = b"," if written else head
        written += len(views)
        yield b"".join((before, _encode(views)[1:-1], b"]}" if written == len(wanted.indexes) else b""))
    if not written:
        yield head + b"]}"
