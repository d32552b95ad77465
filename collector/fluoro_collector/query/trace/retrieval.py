"""What a retrieval of traces by id finds, and what links them to others."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fluoro.model import Link
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

MOST_LINKED = 1_000  # rows with links read of one trace
_links = msgspec.json.Decoder(list[Link]).decode


def retrievable(engine: Engine, ids: Sequence[bytes], begin_ns: int, end_ns: int) -> list[bytes]:
    """Those of `ids` that have a segment which began in [begin_ns, end_ns), in their order and once."""
    if not ids:
        return []
    columns = engine.query(statement("retrievable"), {"ids": list(ids), "from": begin_ns, "until": end_ns})
    found = set(columns["trace_id"])
    return [id_ for id_ in dict.fromkeys(ids) if id_ in found]


def trace_links(
    engine: Engine, ids: Sequence[bytes], begin_ns: int, end_ns: int
) -> dict[str, dict[bytes, dict[bytes, None]]]:
    """Service → trace of its segments → traces they link to. The traces have segments in [begin_ns, end_ns)."""
    found: dict[str, dict[bytes, dict[bytes, None]]] = {}
    if not ids:
        return found
    params = {"ids": list(ids), "from": begin_ns, "until": end_ns, "most": MOST_LINKED}
    columns = engine.query(statement("trace_links"), params)
    for trace_id, service, links in zip(*columns.values(), strict=True):
        targets = found.setdefault(service, {}).setdefault(trace_id, {})
        targets.update(dict.fromkeys(link.trace_id for link in _links(links)))
    return found
