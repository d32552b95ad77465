from __future__ import annotations

import io
import logging
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import psycopg2.pool
import pytest
from psycopg2 import sql

from contracts.instrumented import instrumented
from contracts.sql_driver import SqlDriverContract, counts, sql_of
from fluoro.testing import Spans
from servers.postgres import DATABASE, PASSWORD, USER, Postgres


class OwnCursor(psycopg2.extensions.cursor):
    def first(self) -> Any:
        return self.fetchone()[0]


class OwnConnection(psycopg2.extensions.connection):
    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("cursor_factory", OwnCursor)
        return super().cursor(*args, **kwargs)


class TestPsycopg2(SqlDriverContract):
    library = "psycopg2"
    database = f"{DATABASE}@127.0.0.1"
    database_type = "postgresql"
    placeholder = "%s"
    error = psycopg2.Error
    refuses = psycopg2.InterfaceError
    user = USER
    password = PASSWORD

    @pytest.fixture(autouse=True)
    def _server(self, postgres_server: Postgres) -> None:
        self.server = postgres_server

    def connect(self, **more: Any) -> Any:
        host, port = self.server
        return psycopg2.connect(host=host, port=port, user=USER, password=PASSWORD, dbname=DATABASE, **more)

    def originals(self) -> list[Any]:
        return [psycopg2.connect]

    def test_types_are_what_they_were(self, connection: Any) -> None:
        assert isinstance(connection, psycopg2.extensions.connection)
        assert isinstance(connection.cursor(), psycopg2.extensions.cursor)
        assert repr(connection).startswith("<connection object at")
        assert (type(connection).__name__, type(connection).__module__) == ("connection", "psycopg2.extensions")
        for name in ("Error", "DataError", "autocommit", "notices", "encoding", "info", "get_dsn_parameters"):
            assert hasattr(connection, name)

    def test_checks_in_c_hold(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor:
            assert psycopg2.extensions.quote_ident('a"b', connection) == '"a""b"'
            assert psycopg2.extensions.quote_ident("a", cursor) == '"a"'
            psycopg2.extensions.register_type(psycopg2.extensions.UNICODE, connection)
            psycopg2.extensions.register_type(psycopg2.extensions.UNICODEARRAY, cursor)
            psycopg2.extras.register_uuid(conn_or_curs=connection)
            psycopg2.extras.register_default_json(connection, loads=lambda text: ("json", text))
            psycopg2.extras.register_default_jsonb(connection, loads=lambda text: ("jsonb", text))
            cursor.execute("""SELECT '{}'::json, '{"a": 1}'::jsonb, gen_random_uuid()""")
            json, jsonb, identity = cursor.fetchone()
            assert (json, jsonb, type(identity).__name__) == (("json", "{}"), ("jsonb", '{"a": 1}'), "UUID")
        assert sql_of(spans.one()).query == "SELECT ?::json, ?::jsonb, gen_random_uuid()"

    @pytest.mark.parametrize("factory", ["DictCursor", "RealDictCursor", "NamedTupleCursor"])
    @pytest.mark.parametrize("of", ["cursor", "connect"])
    def test_factories_of_cursors(self, spans: Spans, factory: str, of: str) -> None:
        cls = getattr(psycopg2.extras, factory)
        made = self.connect(cursor_factory=cls) if of == "connect" else self.connect()
        with closing(made) as connection:
            if of == "connect":
                assert connection.cursor_factory is cls
            with connection, connection.cursor(**({} if of == "connect" else {"cursor_factory": cls})) as cursor:
                assert isinstance(cursor, cls)
                assert type(cursor).__name__ == factory
                cursor.execute("SELECT 7 AS seven")
                row = cursor.fetchone()
                assert (row.seven if factory == "NamedTupleCursor" else row["seven"]) == 7
        assert spans.one().operation == "SELECT"

    @pytest.mark.parametrize(
        "factory", [OwnConnection, psycopg2.extras.DictConnection, psycopg2.extras.RealDictConnection]
    )
    def test_factories_of_connections(self, spans: Spans, factory: Any) -> None:
        with closing(self.connect(connection_factory=factory)) as connection:
            assert isinstance(connection, factory)
            with connection.cursor() as cursor:
                cursor.execute("SELECT 7 AS seven")
                assert list(cursor.fetchone()) in ([7], ["seven"])
        assert len(spans.take(1)) == 1

    def test_a_logging_connection_logs_once(self, spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
        with closing(self.connect(connection_factory=psycopg2.extras.LoggingConnection)) as connection:
            logger = logging.getLogger("queries")
            connection.initialize(logger)
            with caplog.at_level(logging.DEBUG, "queries"), connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        assert caplog.messages == ["b'SELECT 1'"]
        assert len(spans.take(1)) == 1

    def test_a_factory_that_is_no_class_is_left_alone(self, spans: Spans) -> None:
        def factory(*args: Any, **kwargs: Any) -> Any:
            return psycopg2.extensions.connection(*args, **kwargs)

        with closing(self.connect(connection_factory=factory)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        assert spans.take() == []

    def test_a_replication_connection_works_and_is_not_traced(self, spans: Spans) -> None:
        factory = psycopg2.extras.PhysicalReplicationConnection
        with closing(self.connect(connection_factory=factory)) as connection, connection.cursor() as cursor:
            assert isinstance(cursor, psycopg2.extras.ReplicationCursor)
            cursor.execute("IDENTIFY_SYSTEM")
        assert spans.take() == []

    def test_cursors_with_a_name(self, connection: Any, spans: Spans) -> None:
        with connection.cursor("mine") as cursor:
            cursor.execute("SELECT generate_series(1, 3)")
            assert list(cursor) == [(1,), (2,), (3,)]
        with connection.cursor("other", OwnCursor, withhold=True) as cursor:
            cursor.execute("SELECT 5")
            assert cursor.first() == 5
        assert sql_of(spans.take(2)[0]).query == "SELECT generate_series(?, …)"

    def test_composed_statements(self, connection: Any, spans: Spans) -> None:
        statement = sql.SQL("SELECT {} FROM {} WHERE buyer = {} AND id = {}").format(
            sql.Identifier("id"), sql.Identifier("orders"), sql.Literal("it's secret"), sql.Placeholder()
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, (5,))
            assert cursor.fetchall() == []
        call = spans.one()
        assert call.operation == "SELECT orders"
        assert sql_of(call).query == 'SELECT "id" FROM "orders" WHERE buyer = ? AND id = %s'

    def test_pages_of_values(self, connection: Any, spans: Spans) -> None:
        with connection.cursor() as cursor:
            rows = [(number, "secret") for number in range(5)]
            psycopg2.extras.execute_values(cursor, "INSERT INTO orders VALUES %s", rows, page_size=3)
        first, second = spans.take(2)
        assert sql_of(first).query == sql_of(second).query == "INSERT INTO orders VALUES (?, …), …"
        assert (counts(first)["rows"], counts(second)["rows"]) == (3, 2)

    def test_copy(self, connection: Any, spans: Spans) -> None:
        with connection.cursor() as cursor:
            cursor.copy_from(io.StringIO("1\tsecret\n"), "orders")
            cursor.copy_expert("COPY orders FROM STDIN WITH (DELIMITER ',')", io.StringIO("2,secret\n"))
            out = io.StringIO()
            cursor.copy_to(out, "orders")
            assert out.getvalue() == "1\tsecret\n2\tsecret\n"
        calls = spans.take(3)
        assert [call.operation for call in calls] == ["COPY orders"] * 3
        assert "secret" not in repr(calls)

    def test_what_a_copy_reads_from_is_recorded_beside_it(self, connection: Any, spans: Spans) -> None:
        other = self.connect()

        class Source(io.StringIO):
            def read(self, *args: Any) -> str:
                with other.cursor() as cursor:
                    cursor.execute("SELECT 1")
                return super().read(*args)

        with closing(other), connection.cursor() as cursor:
            cursor.copy_from(Source("1\tme\n"), "orders")
        assert [call.operation for call in spans.take()][-2:] == ["SELECT", "COPY orders"]

    def test_procedures(self, connection: Any, spans: Spans) -> None:
        with connection.cursor() as cursor:
            cursor.callproc("upper", ["secret"])
            assert cursor.fetchone() == ("SECRET",)
        call = spans.one()
        assert (call.operation, sql_of(call).query, sql_of(call).preparation) == ("CALL upper", "CALL upper", "call")

    def test_pools(self, spans: Spans) -> None:
        host, port = self.server
        pool = psycopg2.pool.ThreadedConnectionPool(
            1, 1, host=host, port=port, user=USER, password=PASSWORD, dbname=DATABASE
        )
        connection = pool.getconn()
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        pool.putconn(connection)
        pool.closeall()
        assert spans.one().name == self.database


def test_a_connection_outlives_the_patch(postgres_server: Postgres, spans: Spans) -> None:
    host, port = postgres_server
    with instrumented("psycopg2"):
        connection = psycopg2.connect(host=host, port=port, user=USER, password=PASSWORD, dbname=DATABASE)
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert spans.take() == []
        with instrumented("psycopg2"):
            cursor.execute("SELECT 1")
            assert len(spans.take(1)) == 1
