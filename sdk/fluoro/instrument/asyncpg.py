"""asyncpg ≥ 0.27: one span per `execute`, `executemany`, `fetch…` and `copy_…` of connections and pools, per execution of
a prepared statement, and for the opening of a cursor.

`conn.transaction()` sends BEGIN and COMMIT through `execute`, so they are recorded; what a pool sends to clean a
connection is not. Neither is `prepare` itself.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import Any

from asyncpg import __version__
from asyncpg.connection import Connection
from asyncpg.cursor import BaseCursor
from asyncpg.prepared_stmt import PreparedStatement

from fluoro.instrument import _patch, _sql
from fluoro.recorder import Span


def patch(_module: ModuleType) -> None:
    for name in ("execute", "fetch", "fetchval", "fetchrow"):
        _patch.around(Connection, name, _before, _sql.end)
    _patch.around(Connection, "_copy_in", _before_copy, _sql.end)
    _patch.around(Connection, "_copy_out", _before_copy, _sql.end)
    _patch.around(Connection, "copy_records_to_table", _before_records, _sql.end)
    for name in ("executemany", "fetchmany"):
        if hasattr(Connection, name):  # fetchmany: asyncpg ≥ 0.30
            _patch.around(Connection, name, _before_many, _sql.end)
    # All of its public methods come here; they are no coroutine functions, they only return coroutines.
    _patch.around(PreparedStatement, "_PreparedStatement__do_execute", _before_prepared, _sql.end)
    _patch.around(BaseCursor, "_bind", _before_cursor, _sql.end)
    _patch.around(BaseCursor, "_bind_exec", _before_cursor, _sql.end)


def _before(connection: Any, query: Any = None, *_: Any, **__: Any) -> Span | None:
    if query is connection._reset_query:  # noqa: SLF001  the pool's, when a connection comes back
        return None
    return _sql.query_span(_database(connection), query)


def _before_many(connection: Any, query: Any = None, args: Any = None, **_: Any) -> Span | None:
    span = _sql.query_span(_database(connection), query)
    if span is not None:
        _sql.count_batch(span, args)
    return span


def _before_copy(connection: Any, statement: Any, *_: Any, **__: Any) -> Span | None:
    # The source or target may be the application's coroutine, which may use another connection.
    return _sql.query_span(_database(connection), statement, current=False)


def _before_records(connection: Any, table: Any, *_: Any, **more: Any) -> Span | None:
    schema = more.get("schema_name")
    return _before_copy(connection, f"COPY {f'{schema}.{table}' if schema else table} FROM STDIN")


def _before_prepared(prepared: Any, *_: Any, **__: Any) -> Span | None:
    return _sql.query_span(_database(prepared._connection), prepared._query, preparation="statement")  # noqa: SLF001


def _before_cursor(cursor: Any, *_: Any, **__: Any) -> Span | None:
    return _sql.query_span(_database(cursor._connection), cursor._query)  # noqa: SLF001


def _database(connection: Any) -> _sql.Database:
    params, version = connection._params, connection._server_version  # noqa: SLF001
    return _described(connection._addr, params.database, params.user, version)  # noqa: SLF001


@lru_cache(maxsize=256)
def _described(address: Any, name: str, user: str, version: Any) -> _sql.Database:
    host, port = address if isinstance(address, tuple) else (address, "")
    return _sql.database(
        "postgresql",
        name,
        host,
        port,
        user=user,
        version=f"{version.major}.{version.minor}",
        driver=f"asyncpg {__version__}",
    )
