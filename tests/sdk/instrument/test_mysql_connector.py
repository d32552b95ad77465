from __future__ import annotations

from contextlib import closing
from importlib import import_module
from typing import Any

import mysql.connector
import mysql.connector.cursor
import pytest

from contracts.sql_driver import SqlDriverContract, sql_of
from fluoro.testing import Spans
from servers.mariadb import DATABASE, PASSWORD, USER, MariaDB


class TestPure(SqlDriverContract):
    pure = True
    library = "mysql-connector"
    database = f"{DATABASE}@127.0.0.1"
    database_type = "mysql"
    placeholder = "%s"
    error = mysql.connector.Error
    refuses = mysql.connector.Error
    user = USER
    password = PASSWORD

    @pytest.fixture(autouse=True)
    def _server(self, mariadb_server: MariaDB) -> None:
        self.server = mariadb_server

    def connect(self, **more: Any) -> Any:
        host, port = self.server
        given = {"use_pure": self.pure, "charset": "utf8mb4", "collation": "utf8mb4_general_ci", **more}
        return mysql.connector.connect(host=host, port=port, user=USER, password=PASSWORD, database=DATABASE, **given)

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

    def test_a_double_quoted_string_is_a_string(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute('SELECT `id` FROM `orders` WHERE buyer = "secret" AND concat("sec", "ret") = buyer')
            assert list(cursor.fetchall()) == []
        expected = "SELECT `id` FROM `orders` WHERE buyer = ? AND concat(?, …) = buyer"
        assert sql_of(spans.one()).query == expected

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
