"""The contract of a storage engine: ClickHouse in our process, or ClickHouse behind the native protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class StoreError(Exception):
    """The engine refused a statement or block for good: retrying the same one cannot work."""


class StoreBusy(StoreError):
    """The engine cannot take it now (connection lost, too many parts, read-only replica, memory): retry later."""


class Engine(Protocol):
    """MUST be safe to call from several threads. Blocks the calling thread; never call it on the event loop.

    Both engines take the same SQL and the same columns and return the same Python values: FixedString(16) as bytes,
    DateTime64(9) as int epoch nanoseconds, UInt64 as int, Map as dict, Array as list.

    `cluster` is the name of the ClickHouse cluster that the tables are spread over, "" for one engine (store/cluster.py).
    """

    cluster: str

    def query(
        self, sql: str, params: Mapping[str, Any] | None = None, settings: Mapping[str, float] | None = None
    ) -> dict[str, list[Any]]:
        """Columns by name, in the order of the SELECT. `params` are typed in the SQL: `{start:DateTime64(9)}`.

        Values may hold any character; the engine's escaping is done here. `settings` are ClickHouse's, for this
        statement; `sql` has no SETTINGS of its own. Raises StoreError, StoreBusy.
        """

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run DDL, a mutation, or another statement without a result; it may take an hour."""

    def insert(self, table: str, columns: Mapping[str, tuple[str, Sequence[Any]]], token: str = "") -> None:
        """Append one block, {column: (ClickHouse type, values)}; durable (fsynced) when this returns.

        MUST store nothing or all. Two inserts with the same non-empty `token` store one copy.
        """

    def close(self) -> None:
        """Release the data directory or connections. No call may be in flight."""
