"""What the collector holds and what came in."""

from __future__ import annotations

import msgspec

from fluoro_collector import __version__
from fluoro_collector.counters import Counters
from fluoro_collector.store.store import Store


class DoorStatus(msgspec.Struct, kw_only=True):
    """received = stored + rejected + dropped + in_flight, in segments since the start of this process."""

    received: int
    stored: int
    rejected: int
    dropped: int
    in_flight: int


class Status(msgspec.Struct, kw_only=True):
    """`store` is "embedded" or "server"; `newest` when the newest segment was received (epoch seconds); `segments` stored rows."""

    version: str
    store: str
    newest: float | None
    segments: int
    doors: dict[str, DoorStatus]
    rejections: dict[str, int]


def doors(counters: Counters) -> dict[str, DoorStatus]:
    """The ledger by door. Counters belong to the event loop: call it there."""
    return {
        name: DoorStatus(
            received=door.received,
            stored=door.stored,
            rejected=sum(door.rejected.values()),
            dropped=sum(door.dropped.values()),
            in_flight=door.in_flight,
        )
        for name, door in counters.doors.items()
    }


def status(store: Store, ledger: dict[str, DoorStatus], rejections: dict[str, int], kind: str) -> Status:
    """Asks the store how much it holds; `ledger` and `rejections` were copied on the event loop."""
    newest = store.newest()
    return Status(
        version=__version__,
        store=kind,
        newest=None if newest is None else newest / 1e9,
        segments=store.count(),
        doors=ledger,
        rejections=rejections,
    )
