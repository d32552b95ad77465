from __future__ import annotations

import asyncio
from typing import Any

import aiosqlite

from contracts.instrumented import instrumented
from contracts.patched import PatchedContract
from contracts.sql_driver import sql_of
from fluoro.recorder import recorder
from fluoro.testing import Spans


class TestAiosqlite(PatchedContract):
    library = "aiosqlite"

    def originals(self) -> list[Any]:
        return [vars(aiosqlite.Connection)["_execute"]]

    def test_a_coroutine_function_stays_one(self) -> None:
        assert asyncio.iscoroutinefunction(aiosqlite.Connection._execute)


def test_a_statement_is_below_its_callers_span(spans: Spans) -> None:
    async def asked(connection: aiosqlite.Connection, name: str) -> None:
        with recorder.begin_segment(name):
            async with connection.execute(f"SELECT 'secret' AS {name}") as cursor:
                assert await cursor.fetchone() == ("secret",)

    async def work() -> None:
        with recorder.begin_segment("connect"):
            connection = await aiosqlite.connect(":memory:")
        await asyncio.gather(asked(connection, "one"), asked(connection, "two"))
        await connection.execute("SELECT 1")
        await connection.close()

    with instrumented("sqlite3", "aiosqlite"):
        asyncio.run(work())
    segments = spans.take(6)
    requests = {segment.operation: segment for segment in segments if not segment.subsegment}
    calls = {sql_of(segment).query: segment for segment in segments if segment.subsegment}
    assert set(requests) == {"connect", "one", "two"}
    for name in ("one", "two"):
        call = calls[f"SELECT ? AS {name}"]
        assert (call.trace_id, call.parent_id) == (requests[name].trace_id, requests[name].id)
    assert calls["SELECT ?"].parent_id == 0
