from __future__ import annotations

import io
from contextlib import closing
from typing import Any

import pg8000
import pg8000.dbapi
import pg8000.legacy
import pg8000.native
import pytest

from contracts.sql_driver import SqlDriverContract, sql_of
from fluoro.testing import Spans
from servers.postgres import DATABASE, PASSWORD, USER, Postgres


class TestPg8000(SqlDriverContract):
    library = "pg8000"
    database = f"{DATABASE}@127.0.0.1"
    database_type = "postgresql"
    placeholder = "%s"
    error = pg8000.dbapi.Error
    refuses = Exception  # an AttributeError in some versions
    user = USER
    password = PASSWORD
    takes_bytes = False

    @pytest.fixture(autouse=True)
    def _server(self, postgres_server: Postgres) -> None:
        self.server = postgres_server

    def connect(self, module: Any = pg8000.dbapi) -> Any:
        host, port = self.server
        make = module.Connection if module is pg8000.native else module.connect
        return make(USER, host=host, port=port, password=PASSWORD, database=DATABASE)

    def originals(self) -> list[Any]:
        return [
            vars(pg8000.dbapi.Cursor)["execute"],
            vars(pg8000.legacy.Cursor)["execute"],
            vars(pg8000.native.Connection)["run"],
        ]

    def test_the_legacy_interface(self, spans: Spans) -> None:
        with closing(self.connect(pg8000)) as connection:
            assert type(connection) is pg8000.legacy.Connection
            assert connection.cursor().execute("SELECT 'secret'").fetchone() == ["secret"]
            assert connection.run("SELECT :word", word="secret") == (["secret"],)
        calls = spans.take(2)
        assert [sql_of(call).query for call in calls] == ["SELECT ?", "SELECT :word"]

    def test_the_native_interface(self, spans: Spans) -> None:
        with closing(self.connect(pg8000.native)) as connection:
            assert connection.run("SELECT 'secret'") == [["secret"]]
            prepared = connection.prepare("SELECT cast(:word AS text)")
            assert prepared.run(word="secret") == [["secret"]]
        plain, prepared_call = spans.take(2)
        assert (plain.name, sql_of(plain).query) == (self.database, "SELECT ?")
        assert sql_of(prepared_call).query == "SELECT cast($1 AS text)"
        assert sql_of(prepared_call).preparation == "statement"

    def test_copy(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("COPY orders FROM STDIN", stream=io.BytesIO(b"1\tsecret\n"))
        assert spans.one().operation == "COPY orders"

    def test_procedures(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute(
                "CREATE PROCEDURE pg_temp.keep (word text) LANGUAGE sql AS $$ INSERT INTO orders VALUES (1, word) $$"
            )
            cursor.callproc("pg_temp.keep", ["secret"])
        call = spans.take(2)[1]
        assert (call.operation, sql_of(call).preparation) == ("CALL pg_temp.keep", "call")
