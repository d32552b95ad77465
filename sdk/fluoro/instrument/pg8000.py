"""pg8000 ≥ 1.29: one span per `execute`, `executemany` and `callproc` of its DB-API cursors, and per `run` of its native
and legacy connections.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pg8000.core
import pg8000.dbapi
import pg8000.legacy
import pg8000.native

from fluoro.instrument import _dbapi, _patch, _sql
from fluoro.recorder import Span


def patch(module: ModuleType) -> None:
    _driver[0] = f"pg8000 {module.__version__}"
    _patch.around(pg8000.core.CoreConnection, "__init__", _connecting, _connected)
    _dbapi.patch_cursors((pg8000.dbapi.Cursor, pg8000.legacy.Cursor), _connection_of, _describe)
    _patch.around(pg8000.native.Connection, "run", _before_run, _sql.end)
    _patch.around(pg8000.native.PreparedStatement, "run", _before_prepared, _sql.end)


_driver = [""]


def _connecting(
    connection: Any,
    user: Any = "",
    host: Any = "localhost",
    database: Any = None,
    port: Any = 5432,
    *_: Any,
    **more: Any,
) -> tuple[Any, ...]:
    return connection, user, None if more.get("unix_sock") else host, database or user, port


def _connected(state: tuple[Any, ...], _: object, error: BaseException | None) -> None:
    if error is None:
        connection, user, host, database, port = state
        statuses = dict(connection.parameter_statuses)  # before 1.30.4 pairs of bytes
        version = statuses.get("server_version", statuses.get(b"server_version"))
        connection._fluoro_database = _sql.database(  # noqa: SLF001
            "postgresql", database, host, port, user=user, version=version, driver=_driver[0]
        )


def _describe(connection: Any) -> _sql.Database:
    """Of a connection made before the patch."""
    return _sql.database("postgresql", "", "", user=connection.user, driver=_driver[0])


def _connection_of(cursor: Any) -> Any:
    return cursor._c  # noqa: SLF001  `connection` warns


def _before_run(connection: Any, sql: Any = None, *_: Any, **__: Any) -> Span | None:
    return _sql.query_span(_sql.known(connection, _describe), sql)


def _before_prepared(prepared: Any, *_: Any, **__: Any) -> Span | None:
    return _sql.query_span(_sql.known(prepared.con, _describe), prepared.statement, preparation="statement")
