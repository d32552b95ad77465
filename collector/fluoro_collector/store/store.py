"""The store: an engine with the schema on it, and segments in and out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fluoro.model import Resource, Segment

from . import migrate, segments
from .embedded import Embedded
from .engine import Engine
from .resources import KnownResources
from .server import Server
from .url import SCHEMES


def open_engine(url_or_dir: str, *, create: bool = True) -> Engine:
    """`clickhouse://user:password@host:9000/database` for a server, anything else is a data directory for the embedded engine.

    A missing database or directory is created; with `create=False` a missing database is not. Raises StoreError (the directory is taken, the URL is wrong) and StoreBusy (the server does not answer).
    """
    if url_or_dir.startswith(SCHEMES):
        return Server(url_or_dir, create=create)
    return Embedded(url_or_dir)


class Store:
    """Thread-safe if the engine is. Blocks; never call it on the event loop."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._resources = KnownResources(engine)

    def migrate(self) -> list[str]:
        """Bring the schema up to date; the names of the migrations that ran. Raises StoreError on a newer schema."""
        return migrate.migrate(self.engine)

    def insert(self, batches: Sequence[tuple[Resource, Sequence[Segment]]], token: str = "") -> int:
        """Store segments durably, all or nothing; the number stored. Two calls with one `token` store one copy.

        Segments are valid (`decode.validate`). Raises StoreBusy (try again) and StoreError (this data cannot be stored).
        """
        received = time.time_ns()
        count = sum(len(items) for _, items in batches)
        if not count:
            return 0
        # Resources first: a segment whose resource is missing could not be read; the reverse harms nobody.
        self._resources.store((resource for resource, items in batches if items), received)
        self.engine.insert("segments", segments.to_columns(batches, received), token)
        return count

    def newest(self) -> int | None:
        """When the newest segment was received, epoch nanoseconds; None while there is none."""
        rows = self.engine.query("SELECT max(received) AS newest, count() AS rows FROM segments")
        return rows["newest"][0] * 1_000_000 if rows["rows"][0] else None

    def count(self) -> int:
        """Stored rows of `segments`, duplicates and unfinished copies included. Read from metadata, not from data."""
        return int(self.engine.query("SELECT count() AS rows FROM segments")["rows"][0])

    def close(self) -> None:
        self.engine.close()
