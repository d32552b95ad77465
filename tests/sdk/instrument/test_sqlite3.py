from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from contracts.sql_driver import SqlDriverContract, counts, sql_of
from fluoro.testing import Spans


class OwnCursor(sqlite3.Cursor):
    def first(self) -> Any:
        return self.fetchone()[0]


class OwnConnection(sqlite3.Connection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA foreign_keys = ON")

    def cursor(self) -> Any:  # type: ignore[override]
        return super().cursor(OwnCursor)

    def execute(self, *args: Any) -> Any:
        return self.cursor().execute(*args)


class TestSqlite3(SqlDriverContract):
    library = "sqlite3"
    database = ":memory:"
    database_type = "sqlite"
    placeholder = "?"
    error = sqlite3.OperationalError
    refuses = sqlite3.ProgrammingError
    takes_bytes = False

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(":memory:")

    def originals(self) -> list[Any]:
        return [sqlite3.connect, sqlite3.dbapi2.connect]

    def test_types_are_what_they_were(self, connection: sqlite3.Connection) -> None:
        assert isinstance(connection, sqlite3.Connection)
        assert isinstance(connection.cursor(), sqlite3.Cursor)
        assert repr(connection).startswith("<sqlite3.Connection object")

    def test_a_connections_own_shortcuts_are_one_span_each(self, connection: Any, spans: Spans) -> None:
        connection.execute("INSERT INTO orders VALUES (1, 'a')")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [(2, "b")])
        found = connection.execute("SELECT id FROM orders WHERE id = ?", [2]).fetchall()
        assert found == [(2,)]
        connection.executescript("DELETE FROM orders WHERE buyer = 'secret'; DROP TABLE orders;")
        calls = spans.take(4)
        operations = ["INSERT orders", "INSERT orders", "SELECT orders", "DELETE orders"]
        assert [call.operation for call in calls] == operations
        assert (counts(calls[1]), calls[2].metadata) == ({"batch": 1, "rows": 1}, None)
        assert sql_of(calls[3]).query == "DELETE FROM orders WHERE buyer = ?; DROP TABLE orders;"

    @pytest.mark.filterwarnings("ignore:Passing more than 1 positional argument:DeprecationWarning")  # Python ≥ 3.13
    @pytest.mark.parametrize("positional", [False, True])
    def test_an_applications_factory_is_respected(self, spans: Spans, positional: bool) -> None:
        if positional:
            made = sqlite3.connect(":memory:", 5.0, 0, "", True, OwnConnection)
        else:
            made = sqlite3.connect(":memory:", factory=OwnConnection)
        with closing(made) as connection:
            assert isinstance(connection, OwnConnection)
            assert connection.execute("SELECT 1").first() == 1
        assert [call.operation for call in spans.take(2)] == ["PRAGMA foreign_keys", "SELECT"]

    def test_an_applications_cursor_is_respected(self, connection: Any, spans: Spans) -> None:
        cursor = connection.cursor(OwnCursor)
        assert isinstance(cursor, OwnCursor)
        assert cursor.execute("SELECT 7").first() == 7
        assert len(spans.take(1)) == 1

    def test_a_factory_that_is_no_class_is_left_alone(self, spans: Spans) -> None:
        def factory(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            return sqlite3.Connection(*args, **kwargs)

        made = sqlite3.connect(":memory:", factory=factory)  # type: ignore[arg-type]
        with closing(made) as connection:
            connection.execute("SELECT 1")
        assert spans.take() == []

    def test_wrong_use_fails_as_before(self, connection: Any, spans: Spans) -> None:
        with pytest.raises(TypeError):
            connection.execute(5)
        with pytest.raises(TypeError):
            connection.cursor(factory=5)
        with pytest.raises(TypeError):
            sqlite3.connect()  # type: ignore[call-overload]
        assert spans.take() == []

    @pytest.mark.parametrize(
        ("database", "keywords"),
        [("{}/shop.db", {}), ("file:{}/shop.db?mode=rwc", {"uri": True})],
    )
    def test_the_span_is_called_after_the_file(
        self, tmp_path: Path, spans: Spans, database: str, keywords: dict[str, Any]
    ) -> None:
        with closing(sqlite3.dbapi2.connect(database.format(tmp_path), **keywords)) as connection:
            connection.execute("SELECT 1")
        assert spans.one().name == "shop.db"
        with closing(sqlite3.connect(tmp_path / "path.db")) as connection:
            connection.execute("SELECT 1")
        assert spans.one().name == "path.db"
