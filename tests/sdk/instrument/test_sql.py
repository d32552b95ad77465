from __future__ import annotations

import sqlite3
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluoro.instrument._sql_text import MAX_QUERY, statement

SECRET = "s3cr3t"
DIALECTS = ("postgresql", "mysql", "sqlite", "")
NAMES = {"postgresql": '"{}"', "mysql": "`{}`", "sqlite": '"{}"', "": '"{}"'}
GAPS = st.sampled_from([" ", "\n", "\t", f" -- it's {SECRET}\n", f"/* '{SECRET} \" */"])

# What may stand around and inside of the secret in any literal.
_ANY = st.text(max_size=20)


def _doubled(quote: str, prefix: str = "") -> st.SearchStrategy[str]:
    """The standard's way to write a quote in a string; no backslash, which dialects read differently."""
    texts = st.tuples(_ANY, _ANY).map(lambda pair: f"{pair[0]}{SECRET}{pair[1]}".replace("\\", "/"))
    return texts.map(lambda text: prefix + quote + text.replace(quote, quote * 2) + quote)


def _escaped(quote: str, prefix: str = "") -> st.SearchStrategy[str]:
    """With backslashes, also before quotes and at the end."""
    texts = st.tuples(_ANY, _ANY).map(lambda pair: f"{pair[0]}\\{SECRET}{pair[1]}\\")
    return texts.map(lambda text: prefix + quote + text.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote)


def _dollars(tag: str) -> st.SearchStrategy[str]:
    texts = st.tuples(_ANY, _ANY).map(lambda pair: f"{pair[0]}'{SECRET}{pair[1]}".replace("$", "S"))
    return texts.map(lambda text: f"${tag}${text}${tag}$")


_NUMBERS = st.sampled_from(["3333333", "3333333.5e-7", "0x3333333", ".3333333", "3_333_333_3333333"])
_BLOBS = st.binary(max_size=10).map(lambda data: f"x'{data.hex()}3333333'")
_COMMON = st.one_of(_doubled("'"), _doubled("'", "N"), _BLOBS, _NUMBERS)
LITERALS = {
    "postgresql": st.one_of(
        _COMMON, _escaped("'", "E"), _escaped("'", "e"), _doubled("'", "U&"), _dollars(""), _dollars("tag")
    ),
    "mysql": st.one_of(_COMMON, _escaped("'"), _escaped('"'), _doubled('"'), _doubled("'", "_utf8mb4")),
    "sqlite": st.one_of(_COMMON, _doubled('"')),
    "": st.one_of(_COMMON, _doubled('"'), _escaped("'"), _escaped("'", "E"), _dollars(""), _dollars("tag")),
}


@pytest.mark.parametrize(
    ("text", "operation", "query"),
    [
        ("select * from orders where id=5", "SELECT orders", "select * from orders where id=?"),
        ("INSERT INTO t (a) VALUES (1,'x'), (-2.5e-7, 0xFF)", "INSERT t", "INSERT INTO t (a) VALUES (?, …), (-?, …)"),
        ("INSERT INTO t VALUES (1,'x'), (2,'y'), (3,'z')", "INSERT t", "INSERT INTO t VALUES (?, …), …"),
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
        ("SELECT e'it\\'s' FROM t WHERE x = $$a'b$$ AND y = $q$c$$d$q$", "SELECT t", "SELECT ? FROM t WHERE x = ? AND y = ?"),
        ("SELECT col1, t2.x FROM t2", "SELECT t2", "SELECT col1, t2.x FROM t2"),
        ("COPY orders FROM STDIN", "COPY orders", "COPY orders FROM STDIN"),
        ("CALL shout", "CALL shout", "CALL shout"),
        ("CREATE USER scott IDENTIFIED BY tiger", "CREATE", "CREATE USER scott IDENTIFIED BY ?"),
        ("SELECT q'[it's s3cr3t]', nq'!it's!', Q'(a)' FROM t", "SELECT t", "SELECT ?, … FROM t"),
        ("", "SQL", ""),
        ("'never ends", "SQL", "?"),
        ('SELECT "never ends', "SELECT", "SELECT ?"),
    ],
)  # fmt: skip
def test_statements_of_an_unknown_dialect(text: str, operation: str, query: str) -> None:
    assert statement(text) == (operation, query)


@pytest.mark.parametrize(
    ("dialect", "text", "query"),
    [
        # PostgreSQL: "this" is a name, comments nest, a string may go on on the next line.
        ("postgresql", 'SELECT "a b" FROM "t" WHERE "x" = 5', 'SELECT "a b" FROM "t" WHERE "x" = ?'),
        ("postgresql", "SELECT 1 /* a /* b */ s3cr3t */ FROM t", "SELECT ? FROM t"),
        ("postgresql", "SELECT E'a'\n'it\\'s s3cr3t' FROM t", "SELECT ? FROM t"),
        ("postgresql", "SELECT ARRAY[a, 5], x[1:2], a::text, b #> '{s3cr3t}' FROM t", "SELECT ARRAY[a, ?], x[?:?], a::text, b #> ? FROM t"),
        ("postgresql", "SELECT 1 -- s3cr3t\r, 'a' FROM t", "SELECT ?, … FROM t"),
        ("postgresql", "SELECT a$b$'x' FROM t WHERE c = $1", "SELECT a$b$? FROM t WHERE c = $1"),
        ("postgresql", "SELECT E'a\\", "SELECT ?"),
        # Where the server's settings decide what a backslash means, nothing after it is shown.
        ("postgresql", "SELECT 'C:\\', 's3cr3t' FROM t", "SELECT ?"),
        ("mysql", "SELECT 'C:\\', 's3cr3t' FROM t", "SELECT ?"),
        ("mysql", "SELECT 'it\\'s', s3cr3t FROM t", "SELECT ?"),
        ("", "SELECT 'C:\\', 's3cr3t' FROM t", "SELECT ?"),
        ("sqlite", "SELECT 'C:\\', 's3cr3t' FROM t", "SELECT ?, … FROM t"),
        # MySQL: "this" is a string, # begins a comment, -- only before white space, and /*! runs in some versions.
        ("mysql", 'SELECT "s3cr3t", `a` FROM `t`', "SELECT ?, `a` FROM `t`"),
        ("mysql", "SELECT 1 # it's s3cr3t\nFROM t", "SELECT ? FROM t"),
        ("mysql", "SELECT 1--'a\ns3cr3t' FROM t", "SELECT ?--? FROM t"),
        ("mysql", "SELECT 1 -- s3cr3t\nFROM t", "SELECT ? FROM t"),
        ("mysql", "SELECT 1 /*!99999 don't */ FROM t WHERE a = 's3cr3t'", "SELECT ? ?"),
        ("mariadb", 'SELECT @@version, @x, "s3cr3t"', "SELECT @@version, @x, ?"),
        # SQLite: "this" is a name where only a name can stand, else perhaps a string.
        ("sqlite", 'SELECT "t"."a", "s3cr3t" FROM "t" JOIN "u" ON "t"."a" = "u"."a"', 'SELECT "t"."a", ? FROM "t" JOIN "u" ON "t"."a" = "u"."a"'),
        ("sqlite", 'INSERT INTO "t" ("a", "b") VALUES ("s3cr3t", ?)', 'INSERT INTO "t" ("a", "b") VALUES (?, …)'),
        ("sqlite", 'INSERT INTO t VALUES ("s3cr3t")', "INSERT INTO t VALUES (?)"),
        ("sqlite", 'UPDATE "t" SET "a" = "s3cr3t", "b" = f("s3cr3t", "s3cr3t") WHERE "t"."c" = "s3cr3t"', 'UPDATE "t" SET "a" = ?, "b" = f(?, …) WHERE "t"."c" = ?'),
        ("sqlite", 'SELECT a IS NOT DISTINCT FROM "s3cr3t" FROM t', "SELECT a IS NOT DISTINCT FROM ? FROM t"),
        ("sqlite", "SELECT [it's], 's3cr3t' FROM [a t]", "SELECT [it's], ? FROM [a t]"),
        ("sqlite", 'PRAGMA key = "s3cr3t"', "PRAGMA key = ?"),
        ("", 'SELECT EXTRACT(DAY FROM "s3cr3t"), (SELECT 1 FROM "u") FROM "t"', 'SELECT EXTRACT(DAY FROM ?), (SELECT ? FROM "u") FROM "t"'),
        # Elsewhere comments nest or do not.
        ("", "SELECT 1 /* a /* b */ s3cr3t */ FROM t", "SELECT ? ?"),
        ("", "SELECT 1 /* a */ FROM t", "SELECT ? FROM t"),
    ],
)  # fmt: skip
def test_statements_of_a_dialect(dialect: str, text: str, query: str) -> None:
    shown = statement(text, dialect)
    assert shown.query == query
    assert SECRET not in shown.operation


@settings(deadline=None, max_examples=150)
@given(st.data(), st.sampled_from(DIALECTS), GAPS)
def test_no_literal_survives(data: st.DataObject, dialect: str, gap: str) -> None:
    literals = data.draw(st.lists(LITERALS[dialect], min_size=1, max_size=6))
    where = f"{gap}AND{gap}".join(f"c{number}{gap}={gap}{literal}" for number, literal in enumerate(literals))
    values = f"{gap},{gap}".join(literals)
    table = NAMES[dialect].format("t")
    for text in (
        f"SELECT a FROM {table} WHERE{gap}{where}",
        f"SELECT a FROM {table} WHERE b{gap}LIKE{gap}{literals[0]}",
        f"SELECT {values} FROM {table}",
        f"SELECT f({values}) FROM {table} ORDER BY 1",
        f"INSERT INTO {table} VALUES{gap}({values})",
        f"INSERT INTO {table} (a, b) VALUES{gap}({values})",
        f"UPDATE {table} SET a = {literals[0]},{gap}b = {literals[-1]} WHERE{gap}{where}",
        f"DELETE FROM {table} WHERE b IN{gap}({values})",
    ):
        shown = statement(text, dialect)
        assert SECRET not in shown.query
        assert "3333333" not in shown.query
        assert shown.operation.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE")
        assert shown.operation.split()[1:] in (["t"], [])


@settings(deadline=None)
@given(st.text(max_size=300), st.sampled_from(DIALECTS))
def test_any_text_has_a_statement_and_keeps_it(text: str, dialect: str) -> None:
    shown = statement(text, dialect)
    assert shown.operation
    assert len(shown.query) <= MAX_QUERY
    again = statement(shown.query, dialect).query
    assert statement(again, dialect).query == again


@settings(deadline=None)
@given(st.text("'\"`$\\/*-#[](){}<>qEeNxX_@:?.,;1a \n", max_size=200), st.sampled_from(DIALECTS))
def test_hostile_characters_never_raise(text: str, dialect: str) -> None:
    assert statement(text, dialect).operation


@settings(deadline=None)
@given(st.integers(0, 10**12), st.text("abc'\"; -", max_size=10))
def test_what_is_left_is_still_the_same_statement(number: int, text: str) -> None:
    """SQLite parses the recorded text, its `?` bound to the literals that were taken out."""
    literal = "'" + text.replace("'", "''") + "'"
    shown = statement(f"SELECT {number} AS a, {literal} AS b", "sqlite")
    connection = sqlite3.connect(":memory:")
    try:
        assert connection.execute(shown.query, (number, text)).fetchone() == (number, text)
    finally:
        connection.close()


def test_a_long_statement_is_cut_without_showing_its_end() -> None:
    text = "SELECT a FROM t WHERE b = '" + "x" * 100_000 + SECRET + "'"
    assert statement(text).query == "SELECT a FROM t WHERE b = ?"
    assert len(statement("SELECT " + "a, " * 50_000).query) == MAX_QUERY


HOSTILE = ("'", '"', "`", "$", "$a", "/*", "*/", "--", "E'", "\\", "''", "\\'", "q'[", "q'a", "(", "[", "[a", "1e", "E'' ", "a.", "?, ", "(?), ")  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_megabyte_of_anything_takes_no_longer_than_a_page(dialect: str) -> None:
    """The limit is some fifty times what it takes; what is quadratic in a megabyte would take an hour."""
    for piece in HOSTILE:
        text = piece * (1_000_000 // len(piece))
        before = time.process_time()
        statement(text, dialect)
        assert time.process_time() - before < 2, piece
