"""What the drivers for MySQL and MariaDB have in common, on a real MariaDB."""

from __future__ import annotations

from contextlib import closing
from types import ModuleType
from typing import Any, ClassVar

import pytest

from contracts.sql_driver import SqlDriverContract, sql_of
from fluoro.testing import Spans
from servers.mariadb import DATABASE, PASSWORD, USER, MariaDB


class MySqlDriverContract(SqlDriverContract):
    """`driver` is the PEP 249 module."""

    driver: ClassVar[ModuleType]
    database = f"{DATABASE}@127.0.0.1"
    database_type = "mysql"
    placeholder = "%s"
    user = USER
    password = PASSWORD

    @pytest.fixture(autouse=True)
    def _server(self, mariadb_server: MariaDB) -> None:
        self.server = mariadb_server

    def connect(self, **more: Any) -> Any:
        host, port = self.server
        return self.driver.connect(host=host, port=port, user=USER, password=PASSWORD, database=DATABASE, **more)

    def test_a_double_quoted_string_is_a_string(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute('SELECT `id` FROM `orders` WHERE buyer = "secret" AND concat("sec", "ret") = buyer')
            assert list(cursor.fetchall()) == []
        expected = "SELECT `id` FROM `orders` WHERE buyer = ? AND concat(?, …) = buyer"
        assert sql_of(spans.one()).query == expected


class CursorClassesContract(MySqlDriverContract):
    """For drivers that take the cursor's class: `cursors` is the module that has them."""

    cursors: ClassVar[ModuleType]

    @pytest.mark.parametrize("cls", ["Cursor", "DictCursor", "SSCursor", "SSDictCursor"])
    def test_every_kind_of_cursor_keeps_its_type(self, connection: Any, spans: Spans, cls: str) -> None:
        kind = getattr(self.cursors, cls)
        with closing(connection.cursor(kind)) as cursor:
            assert type(cursor) is kind
            cursor.execute("SELECT 7 AS seven")
            assert list(cursor.fetchall()) in ([(7,)], [{"seven": 7}])
        assert len(spans.take(1)) == 1

    def test_procedures(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("CREATE OR REPLACE PROCEDURE shout (IN word VARCHAR(20)) SELECT upper(word)")
            cursor.callproc("shout", ("secret",))
            assert cursor.fetchone() == ("SECRET",)
        call = spans.take(2)[1]
        assert (call.operation, sql_of(call).preparation) == ("CALL shout", "call")
        assert "secret" not in repr(call).lower()
