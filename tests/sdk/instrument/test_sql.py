from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluoro.instrument._sql import MAX_QUERY, statement

SECRET = "s3cr3t"
LITERALS = st.one_of(
    st.text(max_size=20).map(lambda text: "'" + (SECRET + text).replace("'", "''") + "'"),
    st.text(max_size=20).map(lambda text: "'" + (text + SECRET).replace("'", "''") + "'"),
    st.text(max_size=20).map(lambda text: '"' + (SECRET + text).replace('"', '""') + '"'),
    st.binary(max_size=10).map(lambda data: f"x'{data.hex()}73337233'"),
)
GAPS = st.sampled_from([" ", "\n", "\t", f" -- it's {SECRET}\n", f"/* '{SECRET} \" */"])


@pytest.mark.parametrize(
    ("text", "operation", "query"),
    [
        ("select * from orders where id=5", "SELECT orders", "select * from orders where id=?"),
        ("INSERT INTO t (a) VALUES (1,'x'), (-2.5e-7, 0xFF)", "INSERT t", "INSERT INTO t (a) VALUES (?, …), (-?, …)"),
        ("insert or replace into t1 values(?1, :name, 9)", "INSERT t1", "insert or replace into t1 values(?1, :name, ?)"),
        ("UPDATE main.orders SET q = 2", "UPDATE main.orders", "UPDATE main.orders SET q = ?"),
        ('update or ignore [my t] set a = "v"', "UPDATE my t", "update or ignore [my t] set a = ?"),
        ("DELETE FROM `db`.`t` WHERE x = $1 AND y = %s", "DELETE db.t", "DELETE FROM `db`.`t` WHERE x = $1 AND y = %s"),
        ("WITH a AS (SELECT 1 FROM b) UPDATE c SET d = 1", "UPDATE c", "WITH a AS (SELECT ? FROM b) UPDATE c SET d = ?"),
        ("SELECT (SELECT max(id) FROM b) FROM c", "SELECT c", "SELECT (SELECT max(id) FROM b) FROM c"),
        ("SELECT * FROM (SELECT 1 FROM b) x", "SELECT b", "SELECT * FROM (SELECT ? FROM b) x"),
        ('CREATE TABLE IF NOT EXISTS "the users" (id)', "CREATE TABLE the users", 'CREATE TABLE IF NOT EXISTS "the users" (id)'),
        ("PRAGMA table_info('t')", "PRAGMA table_info", "PRAGMA table_info(?)"),
        ("/* c */ BEGIN IMMEDIATE", "BEGIN", "BEGIN IMMEDIATE"),
        ("SELECT a FROM t WHERE b IN ('x', 'y', 'z')", "SELECT t", "SELECT a FROM t WHERE b IN (?, …)"),
        ("SELECT 'C:\\' AS a, 'secret' FROM t", "SELECT t", "SELECT ? AS a, ? FROM t"),
        ("SELECT e'it\\'s' FROM t WHERE x = $$a'b$$ AND y = $q$c$$d$q$", "SELECT t", "SELECT ? FROM t WHERE x = ? AND y = ?"),
        ("SELECT col1, t2.x FROM t2", "SELECT t2", "SELECT col1, t2.x FROM t2"),
        ("", "SQL", ""),
        ("'never ends", "SQL", "?"),
    ],
)  # fmt: skip
def test_statements(text: str, operation: str, query: str) -> None:
    assert statement(text) == (operation, query)


@settings(deadline=None)
@given(st.lists(LITERALS, min_size=1, max_size=6), GAPS)
def test_no_literal_survives_as_a_value(literals: list[str], gap: str) -> None:
    where = f"{gap}AND{gap}".join(f"c{number}{gap}={gap}{literal}" for number, literal in enumerate(literals))
    values = f"{gap},{gap}".join(literals)
    for text in (
        f"SELECT a FROM t WHERE{gap}{where}",
        f"SELECT a FROM t WHERE b{gap}LIKE{gap}{literals[0]}",
        f"INSERT INTO t VALUES{gap}({values})",
        f"SELECT a FROM t WHERE b IN{gap}({values}) LIMIT 5",
    ):
        recorded = statement(text)
        assert SECRET not in recorded.query
        assert "73337233" not in recorded.query
        assert recorded.operation in ("SELECT t", "INSERT t")


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_has_a_statement_and_keeps_it(text: str) -> None:
    recorded = statement(text)
    assert recorded.operation
    assert len(recorded.query) <= MAX_QUERY
    assert statement(recorded.query).query == statement(statement(recorded.query).query).query


@settings(deadline=None)
@given(st.integers(0, 10**12), st.text("abc'\"; -", max_size=10))
def test_what_is_left_is_still_the_same_statement(number: int, text: str) -> None:
    """SQLite parses the recorded text, its `?` bound to the literals that were taken out."""
    literal = "'" + text.replace("'", "''") + "'"
    recorded = statement(f"SELECT {number} AS a, {literal} AS b")
    connection = sqlite3.connect(":memory:")
    try:
        assert connection.execute(recorded.query, (number, text)).fetchone() == (number, text)
    finally:
        connection.close()


def test_a_long_statement_is_cut_without_showing_its_end() -> None:
    text = "SELECT a FROM t WHERE b = '" + "x" * 100_000 + SECRET + "'"
    assert statement(text).query == "SELECT a FROM t WHERE b = ?"
    assert len(statement("SELECT " + "a, " * 50_000).query) == MAX_QUERY
