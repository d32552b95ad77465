"""Bring a database to the schema of this version: apply `schema/NNNN_name.sql` once each, in order.

A file holds statements, each ended by `;` at the end of a line (the last may do without). `schema_migrations` remembers
what was applied. Every statement is `IF NOT EXISTS` or may run twice for another reason: so a crash between a statement and
its record is harmless, and so are two collectors that start together.
"""

from __future__ import annotations

import re
import time
from importlib import resources
from typing import NamedTuple

from .cluster import on_cluster
from .engine import Engine, StoreBusy, StoreError
from .server import UNKNOWN_DATABASE, Server, create_database

TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32 COMMENT 'NNNN of the file that was applied',
    name String COMMENT 'its file name',
    applied DateTime64(3, 'UTC') COMMENT 'when'
)
ENGINE = MergeTree
ORDER BY number
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'which schema files this database has'
"""

# Two collectors that create one table together: the loser sees an error (the table or its replica exists), then the table.
_ATTEMPTS = 5
_PAUSE_S = 0.2
_END = re.compile(r";[ \t]*$", re.MULTILINE)
_REMARK = re.compile(r"^\s*--.*\n", re.MULTILINE)


class Migration(NamedTuple):
    """One file of the schema and its statements, as they are sent."""

    number: int
    name: str
    statements: list[str]


def files() -> dict[int, tuple[str, str]]:
    """{number: (file name, text)} of this version."""
    found: dict[int, tuple[str, str]] = {}
    for entry in sorted(resources.files(__package__).joinpath("schema").iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".sql"):
            number = int(entry.name[:4])
            if number in found:
                raise StoreError(f"two schema files have one number: {found[number][0]}, {entry.name}")
            found[number] = (entry.name, entry.read_text(encoding="utf-8"))
    return found


def split(text: str) -> list[str]:
    """The statements of a file, without their `;` and without lines that are only a remark."""
    return [part.strip() for part in _END.split(_REMARK.sub("", text)) if part.strip()]


def migrations(cluster: str = "", database: str = "") -> list[Migration]:
    """The whole schema as it is sent to one server, or to the database on a cluster."""
    found = []
    for number, (name, text) in files().items():
        statements = split(text)
        if cluster:
            statements = [each for statement in statements for each in on_cluster(statement, cluster, database)]
        found.append(Migration(number, name, statements))
    return found


def bookkeeping(cluster: str = "", database: str = "") -> list[str]:
    """The statements that create `schema_migrations`."""
    return on_cluster(TABLE, cluster, database) if cluster else [TABLE.strip()]


def pending(engine: Engine) -> list[Migration]:
    """What `migrate` would apply. Changes nothing. Raises StoreError when the schema is newer than this version."""
    everything = migrations(engine.cluster, _database(engine))
    done = _applied(engine)
    newer = sorted(done - {each.number for each in everything})
    if newer:
        raise StoreError(
            f"the store has schema {newer[-1]:04d}, this fluoro knows {everything[-1].number:04d}: it was written by a newer "
            "version. Nothing was changed. Run that version again (pip install --upgrade fluoro), or give this one another "
            "store (--data DIR or --store URL); fluoro store export of the newer version takes the data along"
        )
    return [each for each in everything if each.number not in done]


def statements(engine: Engine | None) -> list[str]:
    """What `migrate` would send, in order; empty when the schema is up to date. None is a store that is not there yet.

    Raises StoreError as `pending` does.
    """
    cluster = engine.cluster if engine else ""
    database = ""
    found: list[str] = []
    try:
        missing = pending(engine) if engine else migrations()
        database = _database(engine) if engine else ""
    except StoreError as error:
        if not (isinstance(engine, Server) and str(error).startswith(f"Code: {UNKNOWN_DATABASE}.")):
            raise
        database = engine.target.database
        missing = migrations(cluster, database)
        found = [create_database(engine.target)]
    if missing:
        found += bookkeeping(cluster, database)
    return found + [each for migration in missing for each in migration.statements]


def migrate(engine: Engine) -> list[str]:
    """Apply what is missing; the names applied. Raises StoreError when the schema is newer than this version."""
    missing = pending(engine)
    if not missing:
        return []
    for statement in bookkeeping(engine.cluster, _database(engine)):
        _run(engine, statement)
    for migration in missing:
        for statement in migration.statements:
            _run(engine, statement)
        engine.insert(
            "schema_migrations",
            {
                "number": ("UInt32", [migration.number]),
                "name": ("String", [migration.name]),
                "applied": ("DateTime64(3, 'UTC')", [time.time_ns() // 1_000_000]),
            },
        )
    return [each.name for each in missing]


def _run(engine: Engine, statement: str) -> None:
    """Run DDL that another collector may be running too."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            engine.command(statement)
        except StoreError as error:
            if attempt == _ATTEMPTS or not (isinstance(error, StoreBusy) or "already exists" in str(error)):
                raise
            time.sleep(_PAUSE_S * attempt)
        else:
            return


def _applied(engine: Engine) -> set[int]:
    there = (
        "SELECT count() AS tables FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
    )
    if not engine.query(there)["tables"][0]:
        return set()
    return set(engine.query("SELECT DISTINCT number FROM schema_migrations")["number"])


def _database(engine: Engine) -> str:
    return str(engine.query("SELECT currentDatabase() AS name")["name"][0]) if engine.cluster else ""
