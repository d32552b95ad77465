"""What every instrumented DB-API driver must do. An adapter subclasses `SqlDriverContract` and says how to connect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, ClassVar

import pytest

from contracts.patched import PatchedContract
from fluoro.model import Kind, Segment, Sql
from fluoro.propagation import Parent
from fluoro.recorder import recorder
from fluoro.testing import Spans, capture


class SqlDriverContract(PatchedContract):
    """Subclass and fill in; the tests come along. `database` is what the spans shall be called, `user` who connects.

    `counts_rows`: whether the driver says how many rows a statement touched. `takes_bytes`: whether it takes statements
    as bytes. `refuses`: what it raises on a closed connection.
    """

    database: ClassVar[str]
    database_type: ClassVar[str]
    placeholder: ClassVar[str]
    error: ClassVar[type[Exception]]
    user: ClassVar[str] = ""
    password: ClassVar[str] = ""
    counts_rows: ClassVar[bool] = True
    takes_bytes: ClassVar[bool] = True
    refuses: ClassVar[type[Exception]]

    def connect(self) -> Any:
        """A connection to an empty database."""
        raise NotImplementedError

    @pytest.fixture
    def spans(self) -> Iterator[Spans]:
        with capture("shop") as spans:
            yield spans

    @pytest.fixture
    def connection(self, spans: Spans) -> Iterator[Any]:
        with closing(self.connect()) as connection:
            with closing(connection.cursor()) as cursor:
                cursor.execute("CREATE TEMPORARY TABLE orders (id INTEGER, buyer VARCHAR(20))")
            connection.commit()
            created = spans.one()
            assert created.operation == "CREATE TABLE orders"
            yield connection

    def test_one_span_below_the_current_one(self, connection: Any, spans: Spans) -> None:
        with recorder.begin_segment("GET /") as entry, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT buyer FROM orders WHERE id = 5 AND buyer = 'secret'")
            assert list(cursor.fetchall()) == []
        call, request = spans.take(2)
        assert (call.trace_id, call.parent_id) == (request.trace_id, entry.segment.id)
        assert (call.name, call.namespace, call.kind) == (self.database, "remote", Kind.CLIENT)
        assert (call.operation, call.subsegment) == ("SELECT orders", True)
        sql = sql_of(call)
        assert sql.database_type == self.database_type
        assert sql.query == "SELECT buyer FROM orders WHERE id = ? AND buyer = ?"
        assert not call.fault

    def test_user_and_versions_are_recorded_and_no_password(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT id FROM orders")
            assert list(cursor.fetchall()) == []
        call = spans.one()
        sql = sql_of(call)
        assert sql.user == self.user
        assert sql.database_version[0].isdigit()
        if self.password:
            assert sql.driver_version
            assert sql.url.startswith(f"{self.database_type}://127.0.0.1:")
            assert self.password not in repr(call)

    def test_parameters_are_not_looked_at(self, connection: Any, spans: Spans) -> None:
        mark = self.placeholder
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"INSERT INTO orders VALUES ({mark}, {mark})", (1, "secret"))
            cursor.executemany(f"INSERT INTO orders VALUES ({mark}, {mark})", [(2, "secret"), (3, "secret")])
            cursor.execute("SELECT count(*) FROM orders")
            assert tuple(cursor.fetchone()) == (3,)
        one, many, _ = spans.take(3)
        assert one.operation == many.operation == "INSERT orders"
        assert "secret" not in repr((one, many))
        assert counts(many)["batch"] == 2
        if self.counts_rows:
            assert (counts(one)["rows"], counts(many)["rows"]) == (1, 2)

    def test_a_statement_may_be_bytes(self, connection: Any, spans: Spans) -> None:
        if self.takes_bytes:
            with closing(connection.cursor()) as cursor:
                cursor.execute(b"SELECT id FROM orders WHERE buyer = 'secret'")
                assert list(cursor.fetchall()) == []
            assert sql_of(spans.one()).query == "SELECT id FROM orders WHERE buyer = ?"

    def test_what_is_no_statement_is_left_to_the_driver(self, connection: Any, spans: Spans) -> None:
        with (
            closing(connection.cursor()) as cursor,
            pytest.raises((TypeError, AttributeError, AssertionError, self.error)),
        ):
            cursor.execute(5)
        assert spans.take() == []

    def test_a_closed_connection_fails_as_before(self, spans: Spans) -> None:
        closed = self.connect()
        cursor = closed.cursor()
        closed.close()
        with pytest.raises(self.refuses):
            cursor.execute("SELECT 1")
        assert all(call.fault for call in spans.take())

    def test_an_error_passes_unchanged_and_is_the_cause(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor, pytest.raises(self.error) as raised:
            cursor.execute("SELECT nothing FROM nowhere")
        call = spans.one()
        assert (call.operation, call.fault) == ("SELECT nowhere", True)
        assert call.cause is not None
        assert call.cause.exceptions[0].message == str(raised.value)

    def test_unsampled_is_not_recorded(self, connection: Any, spans: Spans) -> None:
        with (
            recorder.begin_segment("GET /", parent=Parent(b"\x65" * 16, 7, sampled=False)),
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute("SELECT id FROM orders")
            assert list(cursor.fetchall()) == []
        assert spans.take() == []

    def test_nothing_is_current_afterwards(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT id FROM orders")
            assert recorder.current() is None
            assert list(cursor.fetchall()) == []
        assert spans.one().parent_id == 0

    def test_transactions_work_and_are_not_traced(self, connection: Any, spans: Spans) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("INSERT INTO orders VALUES (1, 'a')")
            connection.rollback()
            cursor.execute("INSERT INTO orders VALUES (2, 'b')")
            connection.commit()
            cursor.execute("SELECT id FROM orders")
            assert [tuple(row) for row in cursor.fetchall()] == [(2,)]
        assert [call.operation for call in spans.take(3)] == ["INSERT orders", "INSERT orders", "SELECT orders"]


def sql_of(segment: Segment) -> Sql:
    assert segment.sql is not None
    return segment.sql


def counts(segment: Segment) -> dict[str, int]:
    assert segment.metadata is not None
    found: dict[str, int] = segment.metadata["sql"]
    return found
