"""mysqlclient (MySQLdb) ≥ 2.1: one span per `execute`, `executemany` and `callproc`, of any kind of cursor.

The connection forgets where it went, so that is noted when it is made; what an option file says is not known. Queries on
`_mysql.connection` itself are not traced.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import MySQLdb.cursors
from MySQLdb.connections import Connection
from MySQLdb.release import version_info

from fluoro.instrument import _dbapi, _patch, _sql

_DRIVER = f"mysqlclient {'.'.join(str(part) for part in version_info[:3])}"


def patch(_module: ModuleType) -> None:
    _patch.around(Connection, "__init__", _connecting, _connected)
    _dbapi.patch_cursors((MySQLdb.cursors.BaseCursor,), _connection_of, _describe)


def _connecting(connection: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
    given = dict(zip(("host", "user", "password", "database", "port", "unix_socket"), args, strict=False))
    return connection, {**given, **kwargs}


def _connected(state: tuple[Any, dict[str, Any]], _: object, error: BaseException | None) -> None:
    connection, given = state
    if error is None:
        connection._fluoro_database = _sql.database(  # noqa: SLF001
            "mysql",
            given.get("database", given.get("db")),
            given.get("host"),
            given.get("port"),
            user=given.get("user"),
            version=connection.get_server_info(),
            driver=_DRIVER,
        )


def _describe(connection: Any) -> _sql.Database:
    """Of a connection made before the patch: "db.internal via TCP/IP"."""
    return _sql.database("mysql", "", connection.get_host_info().partition(" via ")[0].lower(), driver=_DRIVER)


def _connection_of(cursor: Any) -> Any:
    return cursor.connection
