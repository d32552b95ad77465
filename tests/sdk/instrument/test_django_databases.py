"""Django talks to databases through the drivers, whose spans are the spans: nothing of Django is patched for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db.utils import ConnectionHandler

import contracts.django_site  # noqa: F401  configures Django's settings, once for all of these tests
import needed
from contracts.instrumented import instrumented
from contracts.sql_driver import counts, sql_of
from fluoro.recorder import recorder
from fluoro.testing import Spans
from servers import mariadb, postgres


def work(spans: Spans, database: str, **settings: Any) -> None:
    connection: Any = ConnectionHandler({"default": settings})["default"]
    try:
        connection.ensure_connection()
        spans.take()  # what Django asks for when it connects
        with recorder.begin_segment("GET /") as entry, connection.cursor() as cursor:
            quote = connection.ops.quote_name
            cursor.execute(f"CREATE TEMPORARY TABLE {quote('orders')} (id INTEGER, buyer VARCHAR(20))")
            cursor.executemany("INSERT INTO orders VALUES (%s, %s)", [(1, "secret"), (2, "secret")])
            cursor.execute(f"SELECT {quote('orders')}.{quote('id')} FROM {quote('orders')} WHERE id = %s", [2])
            assert cursor.fetchall() in ([(2,)], ((2,),))
        *calls, _ = spans.take(4)
    finally:
        connection.close()
    assert [call.operation for call in calls] == ["CREATE TABLE orders", "INSERT orders", "SELECT orders"]
    assert {(call.name, call.parent_id) for call in calls} == {(database, entry.segment.id)}
    assert counts(calls[1])["rows"] == 2
    shown = sql_of(calls[2]).query
    assert shown.startswith(f"SELECT {quote('orders')}.{quote('id')} FROM {quote('orders')} WHERE id = ")
    assert "secret" not in repr(calls)


def test_sqlite(tmp_path: Path, spans: Spans) -> None:
    with instrumented("sqlite3"):
        work(spans, "shop.db", ENGINE="django.db.backends.sqlite3", NAME=tmp_path / "shop.db")


def test_postgresql(postgres_server: postgres.Postgres, spans: Spans) -> None:
    host, port = postgres_server
    with instrumented("psycopg"):
        work(
            spans, f"{postgres.DATABASE}@127.0.0.1", ENGINE="django.db.backends.postgresql", NAME=postgres.DATABASE,
            HOST=host, PORT=port, USER=postgres.USER, PASSWORD=postgres.PASSWORD,
        )  # fmt: skip


def test_mysql(mariadb_server: mariadb.MariaDB, spans: Spans) -> None:
    needed.mysqlclient()
    host, port = mariadb_server
    with instrumented("mysqlclient"):
        work(
            spans, f"{mariadb.DATABASE}@127.0.0.1", ENGINE="django.db.backends.mysql", NAME=mariadb.DATABASE,
            HOST=host, PORT=port, USER=mariadb.USER, PASSWORD=mariadb.PASSWORD,
        )  # fmt: skip
