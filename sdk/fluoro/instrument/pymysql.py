"""PyMySQL ≥ 1.0: one span per `execute`, `executemany` and `callproc`, of any kind of cursor.

The database is the one connected to: a later `select_db` or USE does not rename it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from fluoro.instrument import _dbapi, _sql


def patch(module: ModuleType) -> None:
    driver = f"pymysql {module.__version__}"

    def describe(connection: Any) -> _sql.Database:
        return _sql.database(
            "mysql",
            connection.db,
            connection.host,
            connection.port,
            user=connection.user,
            version=connection.get_server_info(),
            driver=driver,
        )

    _dbapi.patch_cursors((module.cursors.Cursor,), _connection_of, describe)


def _connection_of(cursor: Any) -> Any:
    return cursor.connection
