"""MySQL Connector/Python ≥ 8.0.29, the C extension, pure Python and `mysql.connector.aio`: one span per `execute`,
`executemany` and `callproc`, of any kind of cursor.

The database is the one connected to: a later USE does not rename it. X DevAPI (`mysqlx`) is not traced.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any

from mysql.connector.version import VERSION_TEXT

from fluoro.instrument import _dbapi, _sql

_DRIVER = f"mysql-connector-python {VERSION_TEXT}"


# The last two do not exist in every installation.
_CURSORS = ("mysql.connector.cursor", "mysql.connector.cursor_cext", "mysql.connector.aio.cursor")


def patch(_module: ModuleType) -> None:
    for name in _CURSORS:
        with suppress(ImportError):
            module = import_module(name)
            own = [cls for cls in vars(module).values() if isinstance(cls, type) and cls.__module__ == name]
            _dbapi.patch_cursors(own, _connection_of, _describe)


def _connection_of(cursor: Any) -> Any:
    return getattr(cursor, "_connection", None) or getattr(cursor, "_cnx", None)  # the C extension's before 8.0.33


def _describe(connection: Any) -> _sql.Database:
    # Not `connection.database`: that asks the server.
    private = connection.__dict__
    version = getattr(connection, "server_info", None) or connection.get_server_info()
    return _sql.database(
        "mysql",
        private.get("_database"),
        private.get("_host"),
        private.get("_port"),
        user=private.get("_user"),
        version=version,
        driver=_DRIVER,
    )
