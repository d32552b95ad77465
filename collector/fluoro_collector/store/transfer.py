"""Data leaves and comes back as Parquet: one folder with a manifest, files of at most some 100,000 rows by table and day.

Exported is what cannot be computed: segments, resources, configuration. Rollups follow from segments: an import rolls up the
minutes it brought. Any tool reads the files; ids are binary, times are UTC, annotations are maps.

The engine writes and reads Parquet. A server's rows come over the wire and are written by an engine in this process, which
has no store of its own; so nothing needs access to the server's disk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from . import maintenance, migrate
from .embedded import Embedded
from .engine import Engine, StoreError

MANIFEST = "manifest.json"
FORMAT = 1
CHUNK_ROWS = 100_000  # about 150 MB in this process while they pass through
DAY_S = 86_400
_END_NS = ((1 << 32) - 7200) * 10**9  # a later start has no minute in the rollup, nor an hour after it
_TABLES = ("segments", "resources", "configuration")
_COMPUTED = frozenset({"ALIAS", "EPHEMERAL", "MATERIALIZED"})
MAX_MANIFEST_BYTES = 256 << 20
# What `export` names; the engine would take other signs of a path for a pattern of many files.
_FILE = re.compile(r"[a-z]+(/[0-9-]+)?/[0-9]+\.parquet", re.ASCII)
_ID = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
# Columns without which a row would be another one; others may have come later.
_NEEDED = {"segments": {"trace_id", "id", "start"}, "resources": {"id"}, "configuration": {"kind", "name"}}

# (done, total) rows; called after each file.
Progress = Callable[[int, int], None]


class Exported(NamedTuple):
    """Rows by table, and the number of files."""

    rows: dict[str, int]
    files: int


class Imported(NamedTuple):
    """Rows of segments that were new, files stored and files that had been imported before, minutes to roll up (epoch s)."""

    rows: int
    files: int
    known: int
    minutes: set[int]


def export(engine: Engine, directory: Path, first_s: int, last_s: int, progress: Progress) -> Exported:
    """Write segments that start in [first_s, last_s) and all resources and configuration to `directory`.

    The directory appears when all is written; what is cut off leaves nothing. Raises StoreError when it exists already.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise StoreError(f"{directory} exists and is not empty: name a new directory")
    directory.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        with _parquet(engine) as local:
            files, columns = _write_all(engine, local, building, first_s, last_s, progress)
        rows = {table: sum(each["rows"] for each in files if each["table"] == table) for table in _TABLES}
        manifest = {
            "format": FORMAT,
            "id": uuid.uuid4().hex,
            "schema": max(migrate.files()),
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "from": _iso(first_s),
            "to": _iso(last_s),
            "rows": rows,
            "columns": columns,
            "files": files,
        }
        with (building / MANIFEST).open("w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        building.chmod(0o700)
        if directory.exists():
            directory.rmdir()
        building.rename(directory)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Exported(rows, len(files))


def _write_all(
    engine: Engine, local: Embedded, building: Path, first_s: int, last_s: int, progress: Progress
) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    columns = {table: _columns(engine, table) for table in _TABLES}
    counts = _rows_by_second(engine, first_s, last_s)
    total, done = sum(count for _, count in counts), 0
    files: list[dict[str, Any]] = []
    chunks: list[tuple[str, str, str, dict[str, Any]]] = [
        (
            "segments",
            f"segments/{day}",
            "start >= toDateTime({first:UInt32}, 'UTC') AND start < toDateTime64({last:UInt32}, 0, 'UTC')",
            span,
        )
        for day, span in _chunks(counts)
    ]
    chunks += [(table, table, "1", {}) for table in _TABLES[1:]]
    for number, (table, folder, where, span) in enumerate(chunks):
        names = ", ".join(f"`{name}`" for name in columns[table])
        found = engine.query(f"SELECT {names} FROM {table} WHERE {where}", span)  # noqa: S608 - our names
        rows = len(next(iter(found.values())))
        if rows:
            path = PurePosixPath(folder) / f"{number:06d}.parquet"
            (building / folder).mkdir(parents=True, exist_ok=True)
            block = {name: (kind, found[name]) for name, kind in columns[table].items()}
            local.insert("FUNCTION " + _file(building / path, columns[table]), block)
            files.append({"file": str(path), "table": table, "rows": rows})
        if table == "segments":
            done += rows
            progress(done, total)
    return files, columns


def import_(engine: Engine, directory: Path, progress: Progress, *, again: bool = False) -> Imported:
    """Store what `export` wrote. A file is stored once, however often and from wherever it is imported; `again` forgets that.

    Raises StoreError when the directory is no export, is damaged, or was written by a newer version.
    """
    manifest = read_manifest(directory)
    files: list[dict[str, Any]] = manifest["files"]
    known = set() if again else maintenance.finished(engine, maintenance.IMPORT)
    total = sum(each["rows"] for each in files if each["table"] == "segments")
    done = rows = stored = 0
    minutes: set[int] = set()
    for table, columns in manifest["columns"].items():
        # Names and types become part of statements: only those of our own tables do.
        ours = _columns(engine, table)
        other = sorted(name for name, kind in columns.items() if ours.get(name) != kind)
        if other:
            raise StoreError(f"{directory} has columns of {table} that this version lacks: {', '.join(other)[:200]}")
    with _parquet(engine) as local:
        for each in files:
            name = f"{manifest['id']}/{each['file']}"
            columns = manifest["columns"][each["table"]]
            found = local.query(f"SELECT * FROM {_file(directory / each['file'], columns)}")  # noqa: S608 - quoted there
            if len(next(iter(found.values()))) != each["rows"]:
                raise StoreError(f"{directory / each['file']} is damaged: it should have {each['rows']} rows")
            if each["table"] == "segments":
                if not all(0 <= start < _END_NS for start in found["start"]):
                    raise StoreError(f"{directory / each['file']} is damaged: rows start before 1970 or after 2105")
                done += each["rows"]
                # Also of files that are known: the import may have been cut off before the minutes were rolled up.
                minutes.update(start // 60_000_000_000 * 60 for start in found["start"])
            if name not in known:
                block = {column: (kind, found[column]) for column, kind in columns.items()}
                token = "" if again else f"import {name}"
                engine.insert(each["table"], block, token)
                maintenance.finish(engine, maintenance.IMPORT, name)
                stored += 1
                rows += each["rows"] if each["table"] == "segments" else 0
            progress(done, total)
    return Imported(rows, stored, len(files) - stored, minutes)


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of an export, checked. Raises StoreError."""
    path = directory / MANIFEST
    try:
        if path.exists() and not path.is_file():
            raise StoreError(f"{path} is no file")  # reading a pipe would wait for ever
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise StoreError(f"{path} is too large for a manifest")
        manifest = json.loads(path.read_text(encoding="utf-8"))
        given = {str(table): dict(columns) for table, columns in manifest["columns"].items()}
        files: list[dict[str, Any]] = [
            {"file": str(each["file"]), "table": str(each["table"]), "rows": int(each["rows"])}
            for each in manifest["files"]
        ]
        version, schema, id_ = int(manifest["format"]), int(manifest["schema"]), str(manifest["id"])
    except FileNotFoundError:
        raise StoreError(f"{directory} is no export: it has no {MANIFEST}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from None
    newest = max(migrate.files())
    if version > FORMAT or schema > newest:
        raise StoreError(
            f"{directory} was written with schema {schema:04d}, this fluoro knows {newest:04d}: import it with a version "
            "that is at least as new (pip install --upgrade fluoro)"
        )
    if not _ID.fullmatch(id_) or set(given) - set(_TABLES) or any(each["table"] not in given for each in files):
        raise StoreError(f"{path} names tables that no export has")
    lacking = sorted(f"{table}.{name}" for table, columns in given.items() for name in _NEEDED[table] - columns.keys())
    if lacking:
        raise StoreError(f"{path} lacks columns that every export has: {', '.join(lacking)}")
    names = [each["file"] for each in files]
    for name in names:
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            raise StoreError(f"{path} names a file outside of the export: {name[:100]!r}")
        if not _FILE.fullmatch(name):
            raise StoreError(f"{path} names a file as no export does: {name[:100]!r}")
        if not (directory / name).is_file():
            raise StoreError(f"{directory} is not whole: {name[:100]} is missing")
    if len(set(names)) < len(names):
        raise StoreError(f"{path} names a file twice")
    return {**manifest, "columns": given, "files": files, "id": id_}


@contextmanager
def _parquet(engine: Engine) -> Iterator[Embedded]:
    """An engine in this process, to write and read files. A process has one at most: the store's own, if it is embedded."""
    if isinstance(engine, Embedded):
        yield engine
        return
    with tempfile.TemporaryDirectory(prefix="fluoro-parquet-") as scratch:
        local = Embedded(scratch)
        try:
            yield local
        finally:
            local.close()


def _columns(engine: Engine, table: str) -> dict[str, str]:
    """What an INSERT can bring back of each row: every column that is stored and not computed."""
    found = engine.query(f"DESCRIBE TABLE {table}")
    rows = zip(found["name"], found["type"], found["default_type"], strict=True)
    return {name: kind for name, kind, default in rows if default not in _COMPUTED}


def _rows_by_second(engine: Engine, first_s: int, last_s: int) -> list[tuple[int, int]]:
    sql = (
        "SELECT toUnixTimestamp(start) AS second, count() AS rows FROM segments "
        "WHERE start >= toDateTime({first:UInt32}, 'UTC') AND start < toDateTime64({last:UInt32}, 0, 'UTC') GROUP BY second ORDER BY second"
    )
    found = engine.query(sql, {"first": first_s, "last": last_s})
    return list(zip(found["second"], found["rows"], strict=True))


def _chunks(counts: list[tuple[int, int]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(day, range of seconds) of parts with at most CHUNK_ROWS rows (or one second), none over midnight."""
    first = last = size = 0
    for second, rows in counts:
        if size and (size + rows > CHUNK_ROWS or second // DAY_S != first // DAY_S):
            yield _day(first), {"first": first, "last": last + 1}
            size = 0
        if not size:
            first = second
        last = second
        size += rows
    if size:
        yield _day(first), {"first": first, "last": last + 1}


def _file(path: Path, columns: dict[str, str]) -> str:
    """The table function for a Parquet file; after FUNCTION it can be inserted into."""
    structure = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    quoted = [text.replace("\\", "\\\\").replace("'", "\\'") for text in (str(path.absolute()), structure)]
    return f"file('{quoted[0]}', 'Parquet', '{quoted[1]}')"


def _day(second: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(second))


def _iso(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
