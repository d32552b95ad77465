from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from asyncpg.connection import Connection
from asyncpg.cursor import BaseCursor
from asyncpg.prepared_stmt import PreparedStatement

from contracts.patched import PatchedContract
from contracts.sql_driver import counts, sql_of
from fluoro.model import Kind
from fluoro.propagation import Parent
from fluoro.recorder import recorder
from fluoro.testing import Spans
from servers.postgres import DATABASE, PASSWORD, USER, Postgres

TABLE = "CREATE TEMPORARY TABLE orders (id INTEGER, buyer VARCHAR(20))"


class TestAsyncpg(PatchedContract):
    """Its interface is not PEP 249's, so the kit's statements are made here."""

    library = "asyncpg"

    @pytest.fixture(autouse=True)
    def _server(self, postgres_server: Postgres) -> None:
        host, port = postgres_server
        self.parameters = {"host": host, "port": port, "user": USER, "password": PASSWORD, "database": DATABASE}

    def originals(self) -> list[Any]:
        found = [vars(Connection)[name] for name in ("execute", "executemany", "fetch", "fetchval", "fetchrow")]
        return [*found, PreparedStatement._PreparedStatement__do_execute, BaseCursor._bind, BaseCursor._bind_exec]

    def run(self, spans: Spans, work: Callable[[Any], Awaitable[None]]) -> None:
        async def connected() -> None:
            connection = await asyncpg.connect(**self.parameters)
            try:
                await connection.execute(TABLE)
                assert spans.one().operation == "CREATE TABLE orders"
                await work(connection)
            finally:
                await connection.close()

        asyncio.run(connected())

    def test_one_span_below_the_current_one(self, spans: Spans) -> None:
        async def work(connection: Any) -> None:
            with recorder.begin_segment("GET /"):
                assert await connection.fetch("SELECT buyer FROM orders WHERE id = $1 AND buyer = 'secret'", 5) == []
                assert recorder.current() is not None

        self.run(spans, work)
        call, request = spans.take(2)
        assert (call.trace_id, call.parent_id) == (request.trace_id, request.id)
        assert (call.name, call.namespace, call.kind) == (f"{DATABASE}@127.0.0.1", "remote", Kind.CLIENT)
        sql = sql_of(call)
        assert (sql.database_type, sql.user) == ("postgresql", USER)
        assert sql.query == "SELECT buyer FROM orders WHERE id = $1 AND buyer = ?"
        assert sql.database_version[0].isdigit()
        assert sql.driver_version.startswith("asyncpg ")
        assert PASSWORD not in repr(call)

    def test_every_way_to_ask_is_one_span(self, spans: Spans) -> None:
        async def work(connection: Any) -> None:
            assert await connection.execute("INSERT INTO orders VALUES (1, 'a')") == "INSERT 0 1"
            assert await connection.execute("INSERT INTO orders VALUES ($1, $2)", 2, "b") == "INSERT 0 1"
            await connection.executemany("INSERT INTO orders VALUES ($1, $2)", [(3, "c"), (4, "d")])
            assert await connection.fetchval("SELECT count(*) FROM orders") == 4
            assert (await connection.fetchrow("SELECT id FROM orders WHERE id = 2"))["id"] == 2
            statement = await connection.prepare("SELECT id FROM orders WHERE id = $1")
            assert [row["id"] for row in await statement.fetch(3)] == [3]
            assert await statement.fetchval(4) == 4
            assert await statement.fetchrow(5) is None
            await statement.executemany([(1,), (2,)])
            waiting = await connection.prepare("SELECT pg_sleep(0.03)")
            await waiting.fetch()

        self.run(spans, work)
        *calls, waiting = spans.take(10)
        assert [call.operation.split()[0] for call in calls] == ["INSERT"] * 3 + ["SELECT"] * 6
        assert waiting.end - waiting.start >= 30_000_000
        assert counts(calls[2]) == {"batch": 2}
        assert [sql_of(call).preparation for call in calls] == [""] * 5 + ["statement"] * 4

    def test_cursors(self, spans: Spans) -> None:
        async def work(connection: Any) -> None:
            async with connection.transaction():
                found = [row[0] async for row in connection.cursor("SELECT generate_series(1, 120)", prefetch=50)]
                assert found == list(range(1, 121))
                cursor = await connection.cursor("SELECT generate_series(1, 3)")
                assert len(await cursor.fetch(2)) == 2

        self.run(spans, work)
        assert [call.operation for call in spans.take(4)] == ["BEGIN", "SELECT", "SELECT", "COMMIT"]

    def test_copy(self, spans: Spans) -> None:
        async def work(connection: Any) -> None:
            other = await asyncpg.connect(**self.parameters)

            async def source() -> AsyncIterator[bytes]:
                await other.fetchval("SELECT 1")
                yield b"1\tsecret\n"

            await connection.copy_to_table("orders", source=source())
            await other.close()
            kept: list[bytes] = []

            async def keep(data: bytes) -> None:
                kept.append(data)

            await connection.copy_from_query("SELECT buyer FROM orders WHERE id = $1", 1, output=keep)
            assert b"".join(kept) == b"secret\n"
            await connection.copy_records_to_table("orders", records=[(2, "secret")])

        self.run(spans, work)
        calls = spans.take(5)  # asyncpg asks the server how to write a query's arguments into a COPY
        assert [call.operation for call in calls] == ["SELECT", "COPY orders", "SELECT", "COPY", "COPY orders"]
        assert "secret" not in repr(calls)

    def test_an_error_passes_unchanged_and_is_the_cause(self, spans: Spans) -> None:
        async def work(connection: Any) -> None:
            with pytest.raises(asyncpg.UndefinedTableError):
                await connection.fetch("SELECT nothing FROM nowhere")

        self.run(spans, work)
        call = spans.one()
        assert (call.operation, call.fault) == ("SELECT nowhere", True)
        assert call.cause is not None

    def test_a_cancelled_statement_is_no_fault(self, spans: Spans) -> None:
        async def work(connection: Any) -> None:
            task = asyncio.create_task(connection.fetch("SELECT pg_sleep(30)"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        self.run(spans, work)
        assert not spans.one().fault

    def test_unsampled_is_not_recorded(self, spans: Spans) -> None:
        async def work(connection: Any) -> None:
            with recorder.begin_segment("GET /", parent=Parent(b"\x65" * 16, 7, sampled=False)):
                await connection.fetch("SELECT id FROM orders")

        self.run(spans, work)
        assert spans.take() == []

    def test_a_pools_own_statements_are_not_recorded(self, spans: Spans) -> None:
        async def work() -> None:
            async with asyncpg.create_pool(**self.parameters, min_size=1, max_size=1) as pool:
                assert await pool.fetchval("SELECT 7") == 7
                async with pool.acquire() as connection:
                    assert isinstance(connection, Connection)
                    await connection.execute("SELECT 8")

        asyncio.run(work())
        assert [call.operation for call in spans.take(2)] == ["SELECT", "SELECT"]

    def test_coroutine_functions_stay_so(self) -> None:
        assert asyncio.iscoroutinefunction(Connection.fetch)
