"""Insights in the store: a row for each change, the newest counts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import cache
from importlib import resources

import msgspec
from msgspec.structs import replace

from fluoro_collector.store.engine import Engine

from .insight import Event, Insight

_LATEST = (1 << 32) - 1
FIRST_PAGE = (_LATEST, "")
_events = msgspec.json.Decoder(tuple[Event, ...])
_insight = msgspec.json.Decoder(Insight)


def save(engine: Engine, changed: Iterable[Insight], absorbed: Iterable[Insight] = ()) -> None:
    """Durable when it returns; `absorbed` are not found any more. Raises StoreError, StoreBusy."""
    rows = [*((each, 0) for each in changed), *((each, 1) for each in absorbed)]
    if not rows:
        return
    version = time.time_ns()
    texts = [msgspec.json.encode(replace(each, events=())).decode() for each, _ in rows]
    engine.insert(
        "insights",
        {
            "start": ("DateTime('UTC')", [each.start for each, _ in rows]),
            "id": ("String", [each.id for each, _ in rows]),
            "group_name": ("LowCardinality(String)", [each.group for each, _ in rows]),
            "ended": ("DateTime('UTC')", [each.end or 0 for each, _ in rows]),
            "summary": ("String", texts),
            "events": ("String", [msgspec.json.encode(each.events).decode() for each, _ in rows]),
            "deleted": ("UInt8", [deleted for _, deleted in rows]),
            "version": ("UInt64", [version] * len(rows)),
        },
    )


def find(
    engine: Engine,
    first: float = 0,
    last: float = _LATEST,
    *,
    group: str = "",
    state: str = "",
    id_: str = "",
    events: bool = False,
    limit: int = 1000,
    before: tuple[int, str] = FIRST_PAGE,
) -> list[Insight]:
    """Insights that were active at some time in [first, last), the newest start first; at most `limit`, after `before`.

    Without `events` these are empty. `state` is "ACTIVE", "CLOSED" or "" for both. Ids are compared in lower case.
    """
    params = {"first": int(first), "last": int(last), "group": group, "state": state, "id": id_.lower()}
    params |= {"events": int(events), "limit": limit, "before_start": before[0], "before_id": before[1]}
    columns = engine.query(_statement(), params)
    found = map(_insight.decode, columns["summary"])
    if not events:
        return list(found)
    return [replace(each, events=_events.decode(text)) for each, text in zip(found, columns["events"], strict=True)]


def cursor(last: Insight) -> str:
    """For the page after this insight."""
    return f"{last.start}/{last.id}"


def parse_cursor(text: str) -> tuple[int, str] | None:
    """`before` of the next page; None when no page gave this text."""
    start, slash, id_ = text.partition("/")
    if not slash or len(text) > 60 or not (start.isascii() and start.isdigit() and int(start) <= _LATEST):
        return None
    return int(start), id_


@cache
def _statement() -> str:
    return resources.files(__package__).joinpath("insights.sql").read_text(encoding="utf-8")
