from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import rows, sql

from contracts.sql_driver import SqlDriverContract, counts, sql_of
from fluoro.recorder import recorder
from fluoro.testing import Spans
from servers.postgres import DATABASE, PASSWORD, USER, Postgres

COPY = "COPY orders FROM STDIN"
# psycopg 3.1.0 leaves a connection unusable after a stream that was left, traced or not.
RECOVERS = psycopg.__version__.split(".")[:2] != ["3", "1"]


class TestPsycopg(SqlDriverContract):
    library = "psycopg"
    database = f"{DATABASE}@127.0.0.1"
    database_type = "postgresql"
    placeholder = "%s"
    error = psycopg.Error
    refuses = psycopg.OperationalError
    user = USER
    password = PASSWORD

    @pytest.fixture(autouse=True)
    def _server(self, postgres_server: Postgres) -> None:
        host, port = postgres_server
        self.parameters = {"host": host, "port": port, "user": USER, "password": PASSWORD, "dbname": DATABASE}

    def connect(self, **more: Any) -> Any:
        return psycopg.connect(**self.parameters, **more)

    def originals(self) -> list[Any]:
        names = ("execute", "executemany", "stream", "copy")
        found = [vars(cls)[name] for cls in (psycopg.Cursor, psycopg.AsyncCursor) for name in names]
        return [*found, psycopg.ServerCursor.execute, psycopg.AsyncServerCursor.execute]

    def run(self, work: Callable[[Any], Awaitable[None]]) -> None:
        """`work(connection)` on an async connection that has the table."""

        async def connected() -> None:
            async with await psycopg.AsyncConnection.connect(**self.parameters) as connection:
                await connection.execute("CREATE TEMPORARY TABLE orders (id INTEGER, buyer VARCHAR(20))")
                await work(connection)

        asyncio.run(connected())

    def test_types_are_what_they_were(self, connection: Any, spans: Spans) -> None:
        assert type(connection) is psycopg.Connection
        for cls in (psycopg.Cursor, psycopg.ClientCursor):
            with closing(cls(connection)) as cursor:
                assert type(cursor) is cls
                assert cursor.execute("SELECT 7") is cursor
                assert cursor.fetchone() == (7,)
        with connection.cursor(row_factory=rows.dict_row) as cursor:
            assert cursor.execute("SELECT 7 AS seven").fetchone() == {"seven": 7}
        assert [call.operation for call in spans.take(3)] == ["SELECT"] * 3

    def test_a_connections_own_shortcut_is_one_span(self, connection: Any, spans: Spans) -> None:
        assert connection.execute("SELECT 7").fetchone() == (7,)
        assert len(spans.take(1)) == 1

    def test_composed_statements(self, connection: Any, spans: Spans) -> None:
        statement = sql.SQL("SELECT {} FROM {} WHERE buyer = {} AND id = {}").format(
            sql.Identifier("id"), sql.Identifier("orders"), sql.Literal("it's secret"), sql.Placeholder()
        )
        assert connection.execute(statement, (5,)).fetchall() == []
        call = spans.one()
        assert call.operation == "SELECT orders"
        assert sql_of(call).query == 'SELECT "id" FROM "orders" WHERE buyer = ? AND id = %s'

    def test_server_cursors(self, connection: Any, spans: Spans) -> None:
        with connection.cursor("mine") as cursor:
            cursor.execute("SELECT generate_series(1, 3)")
            assert cursor.fetchall() == [(1,), (2,), (3,)]
        assert sql_of(spans.one()).query == "SELECT generate_series(?, …)"

    def test_a_stream_ends_with_its_first_row(self, connection: Any, spans: Spans) -> None:
        with connection.cursor() as cursor:
            stream = cursor.stream("SELECT generate_series(1, 3)")
            assert spans.take() == []
            assert next(stream) == (1,)
            assert sql_of(spans.one()).query == "SELECT generate_series(?, …)"
            assert list(stream) == [(2,), (3,)]
            assert list(cursor.stream("SELECT 1 WHERE false")) == []
            assert len(spans.take(1)) == 1
            with pytest.raises(psycopg.Error):
                next(cursor.stream("SELECT nothing"))
        assert spans.one().fault

    def test_a_stream_may_be_left(self, connection: Any, spans: Spans) -> None:
        with connection.cursor() as cursor:
            for row in cursor.stream("SELECT generate_series(1, 10000)"):
                assert row == (1,)
                break
            del row
        assert len(spans.take(1)) == 1
        if RECOVERS:
            connection.rollback()  # the query may have been cancelled, which aborts the transaction
            assert connection.execute("SELECT 5").fetchone() == (5,)
            assert len(spans.take(1)) == 1

    def test_a_copy_lasts_as_long_as_its_block(self, connection: Any, spans: Spans) -> None:
        with self.connect() as other, connection.cursor() as cursor:
            with cursor.copy(COPY) as copy:
                copy.write_row((1, "secret"))
                other.execute("SELECT 1")
                assert recorder.current() is None
                assert spans.one().operation == "SELECT"
            call = spans.one()
            assert (call.operation, call.fault) == ("COPY orders", False)
            assert cursor.rowcount == 1
            with pytest.raises((ZeroDivisionError, psycopg.errors.QueryCanceled)), cursor.copy(COPY):
                raise ZeroDivisionError
        assert spans.one().fault

    def test_a_pipeline_is_one_span_for_each_statement(self, connection: Any, spans: Spans) -> None:
        with connection.pipeline(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO orders VALUES (1, 'a')")
            cursor.executemany("INSERT INTO orders VALUES (%s, %s)", [(2, "b"), (3, "c")])
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (3,)
        assert [call.operation for call in spans.take(3)] == ["INSERT orders", "INSERT orders", "SELECT orders"]

    def test_async(self, spans: Spans) -> None:
        async def work(connection: Any) -> None:
            async with connection.cursor() as cursor:
                assert await cursor.execute("INSERT INTO orders VALUES (1, 'secret')") is cursor
                await cursor.executemany("INSERT INTO orders VALUES (%s, %s)", [(2, "b"), (3, "c")])
                assert [row async for row in cursor.stream("SELECT id FROM orders")] == [(1,), (2,), (3,)]
                async with cursor.copy(COPY) as copy:
                    await copy.write_row((4, "secret"))
            async with connection.cursor("mine") as cursor:
                await cursor.execute("SELECT count(*) FROM orders")
                assert await cursor.fetchone() == (4,)
            with pytest.raises(psycopg.Error):
                await connection.execute("SELECT nothing FROM nowhere")

        self.run(work)
        calls = spans.take(7)
        assert [call.operation for call in calls] == [
            "CREATE TABLE orders", "INSERT orders", "INSERT orders", "SELECT orders", "COPY orders", "SELECT orders",
            "SELECT nowhere",
        ]  # fmt: skip
        assert {call.name for call in calls} == {self.database}
        assert (counts(calls[1])["rows"], counts(calls[2])) == (1, {"batch": 2, "rows": 2})
        assert [call.fault for call in calls] == [False] * 6 + [True]

    def test_coroutine_functions_stay_so(self) -> None:
        assert asyncio.iscoroutinefunction(psycopg.AsyncCursor.execute)
        assert asyncio.iscoroutinefunction(psycopg.AsyncCursor.executemany)

    def test_a_cancelled_statement_is_no_fault(self, spans: Spans) -> None:
        async def work(connection: Any) -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(connection.execute("SELECT pg_sleep(30)"), 0.05)
            await connection.close()

        self.run(work)
        assert [call.fault for call in spans.take(2)] == [False, False]
