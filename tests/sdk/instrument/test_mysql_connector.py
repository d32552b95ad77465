from __future__ import annotations

from contextlib import closing
from importlib import import_module
from typing import Any

import mysql.connector
import mysql.connector.cursor
import pytest

from contracts.mysql_driver import MySqlDriverContract
from contracts.sql_driver import sql_of
from fluoro.testing import Spans


class TestPure(MySqlDriverContract):
    pure = True
    library = "mysql-connector"
    driver = mysql.connector
    error = refuses = mysql.connector.Error

    def connect(self, **more: Any) -> Any:
        given = {"use_pure": self.pure, "charset": "utf8mb4", "collation": "utf8mb4_general_ci", **more}
        return super().connect(**given)

    def originals(self) -> list[Any]:
        return [vars(mysql.connector.cursor.MySQLCursor)[name] for name in ("execute", "executemany", "callproc")]

    @pytest.mark.parametrize("options", [{}, {"buffered": True}, {"dictionary": True}, {"raw": True}], ids=repr)
    def test_every_kind_of_cursor_keeps_its_type(self, connection: Any, spans: Spans, options: Any) -> None:
        with closing(connection.cursor(**options)) as cursor:
            assert type(cursor).__module__.startswith("mysql.connector.cursor")
            cursor.execute("SELECT 7 AS seven")
            assert len(list(cursor.fetchall())) == 1
        assert len(spans.take(1)) == 1

    def test_prepared_statements(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor(prepared=True)) as cursor:
            cursor.execute("SELECT id FROM orders WHERE id = %s", (5,))
            assert cursor.fetchall() == []
            cursor.executemany("INSERT INTO orders VALUES (%s, %s)", [(1, "secret"), (2, "secret")])
        assert [call.operation for call in spans.take(2)] == ["SELECT orders", "INSERT orders"]

    @pytest.mark.filterwarnings("ignore:Call to deprecated function stored_results:DeprecationWarning")
    def test_procedures(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("CREATE OR REPLACE PROCEDURE shout (IN word VARCHAR(20)) SELECT upper(word)")
            cursor.callproc("shout", ("secret",))
            assert [row for result in cursor.stored_results() for row in result.fetchall()] == [("SECRET",)]
        call = spans.take(2)[1]
        assert (call.operation, sql_of(call).preparation) == ("CALL shout", "call")
        assert "secret" not in repr(call).lower()


if mysql.connector.HAVE_CEXT:  # its wheel may ask for a newer OpenSSL than the system has; the oldest one does not

    class TestCExtension(TestPure):
        pure = False

        def originals(self) -> list[Any]:
            cursor = import_module("mysql.connector.cursor_cext").CMySQLCursor
            return [vars(cursor)[name] for name in ("execute", "executemany", "callproc")]
