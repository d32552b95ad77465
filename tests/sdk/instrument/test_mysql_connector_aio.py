"""`mysql.connector.aio`, which the oldest supported version does not have."""

from __future__ import annotations

import asyncio
from typing import Any

import mysql.connector.aio
import pytest
from mysql.connector.aio.cursor import MySQLCursor

from contracts.patched import PatchedContract
from contracts.sql_driver import counts, sql_of
from fluoro.recorder import recorder
from fluoro.testing import Spans
from servers.mariadb import DATABASE, PASSWORD, USER, MariaDB


class TestAsyncio(PatchedContract):
    library = "mysql-connector"

    def originals(self) -> list[Any]:
        return [vars(MySQLCursor)[name] for name in ("execute", "executemany", "callproc")]

    def test_statements_are_below_the_current_span(self, mariadb_server: MariaDB, spans: Spans) -> None:
        async def work() -> None:
            host, port = mariadb_server
            connection = await mysql.connector.aio.connect(
                host=host, port=port, user=USER, password=PASSWORD, database=DATABASE, charset="utf8mb4",
                collation="utf8mb4_general_ci", ssl_disabled=True,
            )  # fmt: skip
            cursor = await connection.cursor()
            with recorder.begin_segment("GET /"):
                await cursor.execute("CREATE TEMPORARY TABLE orders (id INTEGER, buyer VARCHAR(20))")
                await cursor.executemany("INSERT INTO orders VALUES (%s, %s)", [(1, "secret"), (2, "secret")])
                await cursor.execute("SELECT count(*) FROM orders WHERE buyer = 'secret'")
                assert await cursor.fetchone() == (2,)
                with pytest.raises(mysql.connector.Error):
                    await cursor.execute("SELECT nothing FROM nowhere")
            await cursor.close()
            await connection.close()

        asyncio.run(work())
        *calls, request = spans.take(5)
        operations = ["CREATE TABLE orders", "INSERT orders", "SELECT orders", "SELECT nowhere"]
        assert [call.operation for call in calls] == operations
        assert {(call.name, call.parent_id) for call in calls} == {(f"{DATABASE}@127.0.0.1", request.id)}
        assert [call.fault for call in calls] == [False, False, False, True]
        assert counts(calls[1]) == {"batch": 2, "rows": 2}
        assert (sql_of(calls[0]).user, sql_of(calls[0]).database_type) == (USER, "mysql")
        assert "secret" not in repr(calls)

    def test_coroutine_functions_stay_so(self) -> None:
        assert asyncio.iscoroutinefunction(MySQLCursor.execute)
