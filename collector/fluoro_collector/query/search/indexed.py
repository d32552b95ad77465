"""What an index says before a search reads anything else: the traces that can match, and when they began.

A statement that lists traces by their rows costs 40 ms of CPU to plan, this one 9. So a rare annotation is looked for over
the whole range, and only where it is found are traces read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fluoro_collector.query.filter.compile import Compiled
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

MOST = 10_000  # rows; more are not rare


class Candidates(NamedTuple):
    """`ids` of traces; all that match and began in the range asked for are among them, and began in [first, last) (epoch ns)."""

    ids: list[bytes]
    first: int
    last: int


def candidates(engine: Engine, compiled: Compiled, begin: int, until: int, reach: int) -> Candidates | None:
    """Among the traces that began in [begin, until) and have rows up to `reach` (ns) later; None: too many to list."""
    for condition in compiled.rows:
        params: Mapping[str, Any] = {**compiled.params, "from": begin, "reach": until + reach, "limit": MOST + 1}
        found = engine.query(statement("find_rows").replace("CONDITION\n", f"{condition}\n", 1), params)
        starts = found["starts"][0]
        if not starts:
            return Candidates([], begin, begin)
        if len(starts) <= MOST:
            first, last = max(begin, min(starts) - reach), min(until, max(starts) + 1)
            return Candidates(sorted(set(found["ids"][0])), first, last)
    return None
