from __future__ import annotations

from typing import Any

import needed
from contracts.mysql_driver import CursorClassesContract

needed.mysqlclient()

import MySQLdb  # noqa: E402  nothing of this file can run without it
import MySQLdb.cursors  # noqa: E402


class TestMySQLClient(CursorClassesContract):
    library = "mysqlclient"
    driver = MySQLdb
    cursors = MySQLdb.cursors
    error = refuses = MySQLdb.MySQLError

    def originals(self) -> list[Any]:
        return [vars(MySQLdb.cursors.BaseCursor)[name] for name in ("execute", "executemany", "callproc")]
