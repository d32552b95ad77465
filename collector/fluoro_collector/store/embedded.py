"""ClickHouse inside our process: `chdb-core` over one data directory.

A connection runs one statement at a time and releases the GIL while it does, so `Embedded` keeps a pool and hands one
connection to each concurrent call. One process owns a data directory, and one process can own only one directory at a time.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from . import native_block
from .engine import StoreError
from .errors import classify
from .parameters import serialize, with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of the machine's memory, for one statement. The engine limits all of them together by itself.
MAX_MEMORY_SHARE = 0.5
_NAMES_KEPT = 256


def insert_block(connection: Any, statement: str, structure: Mapping[str, str], block: bytes) -> None:
    """Run `INSERT INTO table (columns) …` with one `Native` block of {column: type}. Raises RuntimeError if it is not stored.

    The engine reads the block as a file, since its two direct ways lose data without an error (chdb-core 26.9): a
    streaming insert drops the errors of the write itself (too many parts, a violated constraint, a full disk), and data
    inside the statement's text is cut at an empty line.
    """
    columns = (
        ", ".join(f"`{name}` {kind}" for name, kind in structure.items()).replace("\\", "\\\\").replace("'", "\\'")
    )
    with _file(block) as path:
        source = path.replace("\\", "\\\\").replace("'", "\\'")
        connection.query(
            # Escaped above; the names and types are ours.
            f"{statement} SELECT * FROM file('{source}', 'Native', '{columns}') SETTINGS max_threads = 1",  # noqa: S608
            "Native",
        )


@contextmanager
def _standard_error() -> Iterator[IO[bytes]]:
    """A file in place of standard error, for the engine writes there why it cannot open a directory, and its error does not say.

    What is left in the file at the end is passed on.
    """
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        try:
            real = os.dup(2)
        except OSError:  # a daemon without one
            yield file
            return
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(real, 2)
            file.seek(0)
            os.write(real, file.read())
            os.close(real)


def _take(file: IO[bytes]) -> str:
    """The first line of the file, which is empty then."""
    file.seek(0)
    lines = file.read().decode(errors="replace").strip().splitlines()
    file.seek(0)
    file.truncate()
    return lines[0] if lines else ""


@contextmanager
def _file(data: bytes) -> Iterator[str]:
    """The path of a file with `data`, in memory where the system can."""
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("fluoro-block"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield file.name


class Embedded:
    """The default engine. `directory` is created with mode 0700. Raises StoreError when another process owns it."""

    cluster = ""

    def __init__(self, directory: str | os.PathLike[str], *, max_memory_bytes: int = 0) -> None:
        self.directory = Path(directory).absolute()
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.directory} cannot be the data directory: {error.strerror}") from error
        # 0.3 s and 260 MB: only a process that owns a store pays.
        _chdb: Any = importlib.import_module("chdb._chdb")
        _chdb.set_signal_handlers_enabled(0)
        self._connect = _chdb.connect
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._closed = False
        self._names: dict[str, list[str]] = {}  # columns by statement: planning a large one again costs 100 ms
        with _standard_error() as said:
            try:
                self._idle.append(self._connect(str(self.directory)))
            except RuntimeError as error:
                raise self._cannot_open(f"{_take(said) or error}") from None
        if max_memory_bytes:
            self._max_memory = max_memory_bytes
        else:
            self._max_memory = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MAX_MEMORY_SHARE)
        self._limit(self._idle[0])

    def query(
        self, sql: str, params: Mapping[str, Any] | None = None, settings: Mapping[str, float] | None = None
    ) -> dict[str, list[Any]]:
        texts = {name: serialize(value) for name, value in params.items()} if params else {}
        with self._connection() as connection:
            data = connection.query(with_settings(sql, settings), "Native", params=texts).bytes()
            if data:
                return native_block.decode(data)
            # An answer without rows comes without a header.
            names = self._names.get(sql)
            if names is None:
                try:
                    header = connection.query(f"DESCRIBE TABLE ({sql})", "Native", params=texts).bytes()
                except RuntimeError:
                    return {}  # not a SELECT
                names = native_block.decode(header)["name"]
                if len(self._names) >= _NAMES_KEPT:
                    self._names.clear()
                self._names[sql] = names
            return {name: [] for name in names}

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        texts = {name: serialize(value) for name, value in params.items()} if params else {}
        with self._connection() as connection:
            connection.query(sql, "Native", params=texts)

    def insert(self, table: str, columns: native_block.Columns, token: str = "") -> None:
        try:
            block = native_block.encode(columns)
        except Exception as error:
            raise StoreError(f"a block for {table} cannot be encoded: {error}") from error
        structure = {name: kind for name, (kind, _) in columns.items()}
        with self._connection() as connection:
            insert_block(connection, native_block.insert_statement(table, columns, token), structure, block)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            connection = self._idle.pop() if self._idle else None
        try:
            if connection is None:
                connection = self._connect(str(self.directory))
                self._limit(connection)
            yield connection
        except RuntimeError as error:
            raise classify(str(error)) from None
        finally:
            if connection is not None:
                with self._lock:
                    keep = not self._closed
                    if keep:
                        self._idle.append(connection)
                if not keep:
                    connection.close()

    def _limit(self, connection: Any) -> None:
        connection.query(f"SET max_memory_usage = {self._max_memory}", "Native")

    def _cannot_open(self, message: str) -> StoreError:
        if "different path" in message:
            return StoreError(f"cannot open {self.directory}: this process already has another data directory open")
        owner = self._owner()
        if owner:
            return StoreError(
                f"another collector owns {self.directory} (pid {owner}): stop it, or give --data another directory"
            )
        return StoreError(f"cannot open the data directory {self.directory}: {message}")

    def _owner(self) -> int:
        """The living process that holds the directory, 0 if there is none. The engine writes its pid into `status`."""
        try:
            found = re.search(r"PID: (\d+)", (self.directory / "status").read_text())
        except OSError:
            return 0
        pid = int(found.group(1)) if found else 0
        if not pid or pid == os.getpid():
            return 0
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return 0
        except PermissionError:
            return pid
        return pid
