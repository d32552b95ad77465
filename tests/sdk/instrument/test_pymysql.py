from __future__ import annotations

from typing import Any

import pymysql
import pymysql.cursors

from contracts.mysql_driver import CursorClassesContract


class TestPyMySQL(CursorClassesContract):
    library = "pymysql"
    driver = pymysql
    cursors = pymysql.cursors
    error = refuses = pymysql.MySQLError

    def originals(self) -> list[Any]:
        return [vars(pymysql.cursors.Cursor)[name] for name in ("execute", "executemany", "callproc")]
