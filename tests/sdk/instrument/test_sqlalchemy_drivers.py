"""SQLAlchemy over each driver that has a row of its own: the driver's span, once, sync and async, on real servers."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from contracts.instrumented import instrumented
from contracts.sql_driver import sql_of
from fluoro.model import Segment
from fluoro.recorder import recorder
from fluoro.testing import Spans
from servers import mariadb, postgres

POSTGRES = {"psycopg2": "psycopg2", "psycopg": "psycopg", "pg8000": "pg8000"}
MYSQL = {"pymysql": "pymysql", "mysqldb": "MySQLdb", "mysqlconnector": "mysql.connector"}
ASYNC = {"psycopg": "psycopg", "asyncpg": "asyncpg"}
ROWS = {"MySQLdb": "mysqlclient", "mysql.connector": "mysql-connector"}


def installed(drivers: dict[str, str]) -> list[str]:
    """With the oldest SQLAlchemy not every driver is there."""
    return [name for name, module in drivers.items() if find_spec(module.partition(".")[0]) is not None]


def check(segments: list[Segment], database: str, recorded_by: str) -> None:
    (request,) = (segment for segment in segments if not segment.subsegment)
    calls = [segment for segment in segments if segment.subsegment]
    inside = [call for call in calls if call.parent_id == request.id]
    assert [call.operation for call in inside if call.operation != "BEGIN"] == [
        "CREATE TABLE orders",
        "INSERT orders",
        "SELECT orders",
    ]
    assert {call.name for call in calls} == {database}
    assert {sql_of(call).driver_version.rpartition(" ")[0] for call in calls} == {recorded_by}
    assert "secret" not in repr(calls)


def work(connection: Any) -> None:
    connection.execute(text("CREATE TEMPORARY TABLE orders (id INTEGER, buyer VARCHAR(20))"))
    connection.execute(text("INSERT INTO orders VALUES (:id, :buyer)"), {"id": 1, "buyer": "secret"})
    assert connection.execute(text("SELECT id FROM orders WHERE buyer = 'secret'")).scalar() == 1


def run(url: URL, **arguments: Any) -> None:
    engine = create_engine(url, connect_args=arguments)
    with engine.connect() as connection, recorder.begin_segment("GET /"):
        work(connection)
    engine.dispose()


async def run_async(engine: Any) -> None:
    async with engine.connect() as connection:
        with recorder.begin_segment("GET /"):
            await connection.run_sync(work)
    await engine.dispose()


@pytest.mark.parametrize("driver", installed(POSTGRES))
def test_postgresql(postgres_server: postgres.Postgres, spans: Spans, driver: str) -> None:
    host, port = postgres_server
    url = URL.create(f"postgresql+{driver}", postgres.USER, postgres.PASSWORD, host, port, postgres.DATABASE)
    with instrumented("sqlalchemy", driver):
        run(url)
    check(spans.take(), f"{postgres.DATABASE}@127.0.0.1", driver)


@pytest.mark.parametrize("driver", installed(MYSQL))
def test_mysql(mariadb_server: mariadb.MariaDB, spans: Spans, driver: str) -> None:
    host, port = mariadb_server
    url = URL.create(f"mysql+{driver}", mariadb.USER, mariadb.PASSWORD, host, port, mariadb.DATABASE)
    arguments = {"collation": "utf8mb4_general_ci", "use_pure": True} if driver == "mysqlconnector" else {}
    row = ROWS.get(MYSQL[driver], driver)
    with instrumented("sqlalchemy", row):
        run(url, **arguments)
    check(spans.take(), f"{mariadb.DATABASE}@127.0.0.1", {"mysql-connector": "mysql-connector-python"}.get(row, row))


@pytest.mark.parametrize("driver", installed(ASYNC))
def test_asyncio(postgres_server: postgres.Postgres, spans: Spans, driver: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    host, port = postgres_server
    url = URL.create(f"postgresql+{driver}", postgres.USER, postgres.PASSWORD, host, port, postgres.DATABASE)

    with instrumented("sqlalchemy", driver):
        asyncio.run(run_async(create_async_engine(url)))
    check(spans.take(), f"{postgres.DATABASE}@127.0.0.1", driver)


if find_spec("sqlalchemy.dialects.sqlite.aiosqlite"):  # SQLAlchemy ≥ 1.4.4

    def test_aiosqlite(tmp_path: Path, spans: Spans) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        with instrumented("sqlalchemy", "sqlite3", "aiosqlite"):
            asyncio.run(run_async(create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/shop.db")))
        segments = [segment for segment in spans.take() if not segment.operation.startswith("PRAGMA")]
        check(segments, "shop.db", "")


def test_an_untraced_driver_of_a_server(postgres_server: postgres.Postgres, spans: Spans) -> None:
    """Only SQLAlchemy is patched, so psycopg2 stands for the drivers without a row."""
    host, port = postgres_server
    url = URL.create("postgresql+psycopg2", postgres.USER, postgres.PASSWORD, host, port, postgres.DATABASE)
    with instrumented("sqlalchemy"):
        run(url)
    segments = spans.take()
    check(segments, f"{postgres.DATABASE}@127.0.0.1", "")  # no version, so not the driver's
    sql = sql_of(segments[0])
    assert (sql.database_type, sql.user, sql.driver_version) == ("postgresql", postgres.USER, "psycopg2")
    assert sql_of(segments[-2]).database_version[0].isdigit()  # unknown until SQLAlchemy has asked for it
    assert postgres.PASSWORD not in repr(segments)
