from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import OperationalError

from contracts.instrumented import instrumented
from contracts.patched import PatchedContract
from contracts.sql_driver import counts, sql_of
from fluoro.model import Kind, Segment
from fluoro.recorder import recorder
from fluoro.testing import Spans

TABLE = "CREATE TABLE orders (id INTEGER, buyer VARCHAR(20))"


def without_pragmas(segments: list[Segment]) -> list[Segment]:
    """SQLAlchemy asks the driver some things when it connects, through `execute` like anybody."""
    return [segment for segment in segments if not segment.operation.startswith("PRAGMA")]


@contextmanager
def engine_of(url: str, **more: Any) -> Iterator[Engine]:
    engine = create_engine(url, **more)
    try:
        yield engine
    finally:
        engine.dispose()


class TestOverAnUntracedDriver(PatchedContract):
    """Only SQLAlchemy is patched here, so sqlite3 stands for the drivers that have no row in the table."""

    library = "sqlalchemy"

    @pytest.fixture
    def engine(self, tmp_path: Path, spans: Spans) -> Iterator[Engine]:
        with engine_of(f"sqlite:///{tmp_path}/shop.db") as engine:
            with engine.begin() as connection:
                connection.execute(text(TABLE))
            spans.take()
            yield engine

    def originals(self) -> list[Any]:
        return [vars(DefaultDialect)["do_execute"], vars(DefaultDialect)["do_executemany"], vars(Engine)["__init__"]]

    def test_one_span_below_the_current_one(self, engine: Engine, spans: Spans) -> None:
        with recorder.begin_segment("GET /") as entry, engine.connect() as connection:
            query = text("SELECT buyer FROM orders WHERE id = :id AND buyer = 'secret'")
            assert connection.execute(query, {"id": 5}).fetchall() == []
        call, request = spans.take(2)
        assert (call.trace_id, call.parent_id) == (request.trace_id, entry.segment.id)
        assert (call.name, call.namespace, call.kind) == ("shop.db", "remote", Kind.CLIENT)
        assert (call.operation, sql_of(call).database_type) == ("SELECT orders", "sqlite")
        assert sql_of(call).query == "SELECT buyer FROM orders WHERE id = ? AND buyer = ?"

    def test_many_parameter_sets_are_one_span(self, engine: Engine, spans: Spans) -> None:
        with engine.begin() as connection:
            rows = [{"id": number, "buyer": "secret"} for number in range(3)]
            connection.execute(text("INSERT INTO orders VALUES (:id, :buyer)"), rows)
        call = spans.one()
        assert (call.operation, counts(call)["batch"]) == ("INSERT orders", 3)
        assert "secret" not in repr(call)

    def test_an_error_passes_and_is_the_cause(self, engine: Engine, spans: Spans) -> None:
        with engine.connect() as connection, pytest.raises(OperationalError):
            connection.execute(text("SELECT nothing FROM nowhere"))
        call = spans.one()
        assert (call.operation, call.fault) == ("SELECT nowhere", True)
        assert call.cause is not None

    def test_a_dialect_with_methods_of_its_own_is_one_span(self, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
        with engine_of("sqlite://") as plain:
            base: Any = type(plain.dialect)

        class Dialect(base):  # type: ignore[misc]
            supports_statement_cache = True

            def do_execute(self, cursor: Any, *args: Any, **kwargs: Any) -> None:
                super().do_execute(cursor, *args, **kwargs)

        class Other(Dialect):
            supports_statement_cache = True

            def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
                assert context is not None
                cursor.execute(statement, parameters)

        from sqlalchemy.dialects import registry

        for name, cls in (("calling", Dialect), ("alone", Other)):
            module = f"{__name__}.{name}"
            monkeypatch.setitem(registry.impls, name, lambda cls=cls: cls)
            with engine_of(f"{name}://") as engine, engine.connect() as connection:
                spans.take()
                assert connection.execute(text("SELECT 7")).scalar() == 7, module
            assert len(spans.take(1)) == 1


@pytest.mark.parametrize("names", [("sqlalchemy", "sqlite3"), ("sqlite3",)], ids=["both", "driver"])
def test_over_a_traced_driver_the_drivers_span_is_the_span(spans: Spans, names: tuple[str, ...]) -> None:
    with instrumented(*names), engine_of("sqlite://") as engine, engine.begin() as connection:
        connection.execute(text(TABLE))
        connection.execute(text("INSERT INTO orders VALUES (:id, :buyer)"), [{"id": 1, "buyer": "a"}] * 2)
        connection.execute(text("SELECT id FROM orders"))
        assert isinstance(connection.connection.cursor(), sqlite3.Cursor)
    calls = without_pragmas(spans.take())
    assert [call.operation for call in calls] == ["CREATE TABLE orders", "INSERT orders", "SELECT orders"]
    assert {call.name for call in calls} == {":memory:"}
