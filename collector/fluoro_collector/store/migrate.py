"""Apply `schema/NNNN_name.sql` once each, in order, and remember it in `schema_migrations`."""

from __future__ import annotations

import time
from importlib import resources

from .engine import Engine, StoreError

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32 COMMENT 'NNNN of the file that was applied',
    name String COMMENT 'its file name',
    applied DateTime64(3, 'UTC') COMMENT 'when'
)
ENGINE = MergeTree ORDER BY number
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'which schema files this database has'
"""


def files() -> dict[int, tuple[str, str]]:
    """{number: (file name, statement)} of this version."""
    found = {}
    for entry in sorted(resources.files(__package__).joinpath("schema").iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".sql"):
            found[int(entry.name[:4])] = (entry.name, entry.read_text(encoding="utf-8"))
    return found


def migrate(engine: Engine) -> list[str]:
    """Apply what is missing; the names applied. Raises StoreError when the schema is newer than this version.

    Every statement is `IF NOT EXISTS` (or idempotent in another way), so a crash between a statement and its record is harmless.
    """
    engine.command(_TABLE)
    done = set(engine.query("SELECT DISTINCT number FROM schema_migrations")["number"])
    known = files()
    newer = sorted(done - known.keys())
    if newer:
        raise StoreError(
            f"the store has schema {newer[-1]:04d}, this fluoro knows {max(known):04d}: it was written by a newer version. "
            "Upgrade this collector, or point it to another store"
        )
    applied = []
    for number, (name, statement) in known.items():
        if number in done:
            continue
        engine.command(statement)
        engine.insert(
            "schema_migrations",
            {
                "number": ("UInt32", [number]),
                "name": ("String", [name]),
                "applied": ("DateTime64(3, 'UTC')", [time.time_ns() // 1_000_000]),
            },
        )
        applied.append(name)
    return applied
