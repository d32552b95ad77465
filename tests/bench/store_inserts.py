"""How fast rows are taken: the real `Store.insert`, and the engine's part alone beside the peer's.

The peer's sender is written in Go and is not measured here. So of both tables the engine gets the same spans as a ready
`Native` block and the time is the engine's; what our columns and block cost in Python on top of it is the first row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import msgspec
from store_measure import Cost, cost, median
from store_peer import Peer

from fluoro.model import Resource, Segment
from fluoro_collector.store import native_block, resources, segments
from fluoro_collector.store.embedded import Embedded, insert_block
from fluoro_collector.store.store import Store

BATCHES = {1_000: 20, 50_000: 3}  # rows of an insert → how many of them
AWAY_S = 40 * 86_400  # the copies lie so much later: partitions of their own, dropped afterwards
_SCRATCH = "bench_insert"
_DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1"
_OTEL = {
    "Timestamp": "DateTime64(9)",
    "TraceId": "String",
    "SpanId": "String",
    "ParentSpanId": "String",
    "TraceState": "String",
    "SpanName": "LowCardinality(String)",
    "SpanKind": "LowCardinality(String)",
    "ServiceName": "LowCardinality(String)",
    "ResourceAttributes": "Map(LowCardinality(String), String)",
    "ScopeName": "String",
    "ScopeVersion": "String",
    "SpanAttributes": "Map(LowCardinality(String), String)",
    "Duration": "UInt64",
    "StatusCode": "LowCardinality(String)",
    "StatusMessage": "String",
    "Events.Timestamp": "Array(DateTime64(9))",
    "Events.Name": "Array(LowCardinality(String))",
    "Events.Attributes": "Array(Map(LowCardinality(String), String))",
}


class Inserted(NamedTuple):
    """Medians per span, seconds."""

    name: str
    rows: int
    per_span: Cost


def measure(store: Store, engine: Embedded, peers: list[Peer], end: int) -> Iterator[Inserted]:
    """Inserts of the newest spans before `end` (epoch seconds), batch by batch."""
    for rows, times in BATCHES.items():
        total = rows * times
        columns = engine.query(
            f"SELECT {segments.READ_COLUMNS} FROM segments WHERE start < toDateTime({{end:UInt32}}, 'UTC')"
            " ORDER BY toStartOfHour(start) DESC, trace_id, start LIMIT {limit:UInt32}",
            {"end": end, "limit": total},
        )
        found = segments.from_columns(columns)
        known = resources.read(engine, [row.resource_id for row in found])
        batches = []
        for first in range(0, len(found) - rows + 1, rows):
            by_resource: dict[int, list[Segment]] = {}
            for row in found[first : first + rows]:
                later = AWAY_S * 10**9
                moved = msgspec.structs.replace(
                    row.segment, start=row.segment.start + later, end=row.segment.end + later
                )
                by_resource.setdefault(row.resource_id, []).append(moved)
            batches.append([(known[each], items) for each, items in by_resource.items()])
        if not batches:
            raise SystemExit(f"there are no {rows} spans to insert again: more --spans")
        yield from _ours(store, engine, rows, batches)
        ids = [row.segment.trace_id.hex() for row in found]
        for peer in peers:
            yield from _theirs(engine, peer, rows, ids)


def _ours(
    store: Store, engine: Embedded, rows: int, batches: list[list[tuple[Resource, list[Segment]]]]
) -> Iterator[Inserted]:
    with _copies(engine):
        whole = [cost(partial(store.insert, batch, f"whole {rows} {n}"))[1] for n, batch in enumerate(batches)]
    yield Inserted("fluoro, Store.insert", rows, _per_span(whole, rows))
    blocks = [_encoded(segments.to_columns(batch, 0)) for batch in batches]
    with _copies(engine):
        yield Inserted("fluoro, engine only", rows, _per_span(_insert(engine, "segments", blocks), rows))


def _theirs(engine: Embedded, peer: Peer, rows: int, ids: list[str]) -> Iterator[Inserted]:
    names = ", ".join(f"`{name}`" for name in _OTEL)
    columns = engine.query(
        f"SELECT {names} FROM {peer.table} WHERE TraceId IN {{ids:Array(String)}} ORDER BY Timestamp LIMIT {{limit:UInt32}}",
        {"ids": sorted(set(ids)), "limit": len(ids)},
    )
    blocks = [
        _encoded({name: (kind, columns[name][first : first + rows]) for name, kind in _OTEL.items()})
        for first in range(0, len(ids) - rows + 1, rows)
    ]
    for durable in (True, False):
        peer.create(_SCRATCH)
        if durable:
            for table in (_SCRATCH, f"{_SCRATCH}_trace_id_ts"):
                engine.command(f"ALTER TABLE {table} MODIFY SETTING {_DURABLE}")
        name = f"{peer.name}, engine only, {'fsync as ours' if durable else 'no fsync (its default)'}"
        try:
            yield Inserted(name, rows, _per_span(_insert(engine, _SCRATCH, blocks), rows))
        finally:
            peer.drop(_SCRATCH)


class _Block(NamedTuple):
    """One insert, ready for the engine."""

    structure: dict[str, str]
    data: bytes


def _encoded(columns: native_block.Columns) -> _Block:
    return _Block({name: kind for name, (kind, _) in columns.items()}, native_block.encode(columns))


def _insert(engine: Embedded, table: str, blocks: list[_Block]) -> list[Cost]:
    costs = []
    for block in blocks:
        names = ", ".join(f"`{name}`" for name in block.structure)
        statement = f"INSERT INTO {table} ({names})"
        with engine._connection() as connection:
            costs.append(cost(partial(insert_block, connection, statement, *block))[1])
    return costs


@contextmanager
def _copies(engine: Embedded) -> Iterator[None]:
    """Rows that are stored in here are dropped afterwards."""
    before = _partitions(engine)
    try:
        yield
    finally:
        for partition in _partitions(engine) - before:
            engine.command(f"ALTER TABLE segments DROP PARTITION ID '{partition}'")


def _partitions(engine: Embedded) -> set[str]:
    sql = "SELECT DISTINCT partition_id FROM system.parts WHERE active AND table = 'segments' AND database = currentDatabase()"
    return set(engine.query(sql)["partition_id"])


def _per_span(costs: list[Cost], rows: int) -> Cost:
    wall, cpu = median(costs)
    return Cost(wall / rows, cpu / rows)
