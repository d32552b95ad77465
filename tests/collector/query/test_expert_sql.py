"""SQL of experts: what it answers, and that nothing but the tables of traces can be reached by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fluoro.model import Http, Kind, Resource, Segment
from fluoro_collector.query.expert import sql as module
from fluoro_collector.query.expert.functions import aggregates, allowed, scalars
from fluoro_collector.query.expert.sql import TABLES, SqlAnswer, SqlError, expert_sql
from fluoro_collector.store.engine import StoreBusy
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND, empty

TRACE = BASE.to_bytes(4, "big") + bytes(range(12))


def fill(store: Store) -> None:
    entry = Segment(
        TRACE, 1, 0, "web", BASE * SECOND + 5, BASE * SECOND + SECOND, Kind.SERVER, annotations={"plan": "gold"}
    )
    entry.http = Http("GET", "http://web/", 200)
    call = Segment(TRACE, 2, 1, "pay", BASE * SECOND + 9, BASE * SECOND + SECOND // 2, Kind.CLIENT, True, "remote")
    store.insert([(Resource(service_name="web", host="h1"), [entry, call])])


@pytest.fixture(scope="module")
def filled(opened: Store) -> Store:
    fill(empty(opened))
    return opened


def rows(answer: SqlAnswer) -> list[Any]:
    return [json.loads(bytes(row)) for row in answer.rows]


def ask(store: Store, query: str, limit: int = 100) -> list[Any]:
    return rows(expert_sql(store.engine, query, limit))


def test_columns_come_with_their_types_and_readable_values(filled: Store) -> None:
    answer = expert_sql(
        filled.engine,
        "SELECT trace_id, start, duration / 1e9 AS seconds, service, annotations, annotations['plan'] = 'gold' AS gold,"
        " groupArray(trace_id) OVER () AS ids, toDate(start) AS day, NULL AS nothing, nan AS unknown"
        " FROM segments FINAL WHERE subsegment = 0 -- the entry",
    )
    assert {column.name: column.type for column in answer.columns} == {
        "trace_id": "FixedString(16)",
        "start": "DateTime64(9, 'UTC')",
        "seconds": "Float64",
        "service": "LowCardinality(String)",
        "annotations": "Map(LowCardinality(String), String)",
        "gold": "UInt8",
        "ids": "Array(FixedString(16))",
        "day": "Date",
        "nothing": "Nullable(Nothing)",
        "unknown": "Float64",
    }
    trace_id = f"1-{BASE:08x}-000102030405060708090a0b"
    assert rows(answer) == [
        [
            trace_id,
            "2026-01-01T12:00:00.000000005Z",
            pytest.approx(1),
            "web",
            {"plan": "gold"},
            1,
            [trace_id],
            "2026-01-01",
            None,
            None,
        ]
    ]
    assert not answer.truncated
    assert 0 < answer.seconds < 30


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT count() FROM segments;", [[2]]),
        ("SELECT sumIf(duration, subsegment) > 0, countDistinct(id) FROM segments", None),
        ("WITH calls AS (SELECT id FROM segments WHERE subsegment) SELECT count() FROM calls", [[1]]),
        ("SELECT a.service, b.name FROM segments AS a JOIN segments AS b ON b.parent_id = a.id", [["web", "pay"]]),
        ("SELECT name FROM segments WHERE id IN (SELECT max(id) FROM segments)", [["pay"]]),
        ("SELECT id FROM segments ORDER BY id DESC", [[2], [1]]),
        ("(SELECT 1) UNION ALL (SELECT 1)", [[1], [1]]),
        ("FROM resources SELECT host LIMIT 1 BY host", [["h1"]]),
        ("SELECT row_number() OVER (PARTITION BY trace_id ORDER BY start) AS n FROM segments ORDER BY n", [[1], [2]]),
        ("SELECT name, k FROM segments ARRAY JOIN mapKeys(annotations) AS k", [["web", "plan"]]),
        (
            "SELECT quantiles(0.5, 0.9)(duration)[1] > 0, CASE WHEN 1 = 1 THEN 'é' ELSE '\\n' END FROM segments",
            [[1, "é"]],
        ),
        ("SELECT * EXCEPT (a) FROM (SELECT 1 AS a, ';--' AS `it's \\`b`)", [[";--"]]),
        ("SELECT arrayMap(x -> x + 1, range(3)), INTERVAL 1 DAY + toDate('2026-01-01')", [[[1, 2, 3], "2026-01-02"]]),
        (
            "SELECT 18446744073709551615, unhex('ff'), toFixedString('ab', 2)",
            [[18446744073709551615, "\ufffd", "6162"]],
        ),
        ("SELECT [[trace_id]] FROM segments LIMIT 1", [[[[f"1-{BASE:08x}-000102030405060708090a0b"]]]]),
        ("SELECT toDateTime(0, 'Asia/Tokyo'), CAST(NULL AS Nullable(DateTime))", [["1970-01-01T00:00:00Z", None]]),
    ],
)
def test_what_an_expert_asks(filled: Store, query: str, expected: list[Any] | None) -> None:
    found = ask(filled, query)
    assert found == (expected or [[1, 2]])


def test_rows_are_cut_and_that_is_said(filled: Store) -> None:
    answer = expert_sql(filled.engine, "SELECT arrayJoin(range(10)) AS n ORDER BY n DESC", 3)
    assert (rows(answer), answer.truncated) == ([[9], [8], [7]], True)
    assert not expert_sql(filled.engine, "SELECT arrayJoin(range(3))", 3).truncated
    empty = expert_sql(filled.engine, "SELECT id FROM segments WHERE 0")
    assert (empty.rows, [column.name for column in empty.columns]) == ([], ["id"])


ATTACKS = [
    ("file table function", "SELECT * FROM file('/etc/passwd', 'LineAsString')", "function file"),
    ("file function", "SELECT file('/etc/passwd')", "function file"),
    ("file in a WITH", "WITH (SELECT file('/etc/passwd')) AS x SELECT x", "function file"),
    ("file in upper case, quoted", "SELECT \"FILE\"('/etc/passwd')", "function FILE"),
    ("file by APPLY", "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')", "ColumnsApplyTransformer"),
    (
        "file by APPLY of a lambda",
        "SELECT * APPLY(x -> file(x)) FROM (SELECT '/etc/passwd')",
        "ColumnsApplyTransformer",
    ),
    ("file behind a comment", "SELECT 1 /* ' */, file('/etc/passwd') --'", "function file"),
    ("file behind a name of two lines", "SELECT 1 AS `a\n Literal `, file('/etc/passwd')", "function file"),
    ("a name of two lines", "SELECT 1 AS `a\nSet b`", "SETTINGS"),
    ("url", "SELECT * FROM url('http://127.0.0.1:1/', 'CSV')", "function url"),
    ("s3", "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV')", "function s3"),
    ("remote", "SELECT * FROM remote('127.0.0.1', 'system.one')", "function remote"),
    ("cluster", "SELECT * FROM cluster('default', 'system.one')", "function cluster"),
    ("mysql", "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')", "function mysql"),
    ("executable", "SELECT * FROM executable('ls', 'TSV', 'a String')", "function executable"),
    ("Python objects", "SELECT * FROM Python(sys)", "function Python"),
    ("Python objects, quoted", "SELECT * FROM `python` (sys)", "function Python"),
    ("Python objects behind a comment", "SELECT * FROM Python/**/(sys)", "function Python"),
    ("merge of databases", "SELECT * FROM merge('system', '.*')", "function merge"),
    ("numbers", "SELECT count() FROM numbers(1)", "function numbers"),
    ("input", "SELECT * FROM input('a String')", "function input"),
    ("view of an EXPLAIN", "SELECT * FROM (EXPLAIN SELECT 1)", "function viewExplain"),
    ("EXPLAIN", "EXPLAIN SELECT 1", "only one SELECT"),
    ("VALUES", "SELECT * FROM (VALUES (1))", "SQLStandardValues"),
    ("dictionary", "SELECT dictGet('d', 'a', 1)", "function dictGet"),
    ("table of a join engine", "SELECT joinGet('system.one', 'dummy', 0)", "function joinGet"),
    ("system table", "SELECT * FROM system.tables", "table system.tables"),
    ("system table in one pair of quotes", "SELECT * FROM `system.tables`", "table system.tables"),
    ("system table in upper case", "SELECT * FROM INFORMATION_SCHEMA.TABLES", "table INFORMATION_SCHEMA"),
    ("system table in a subquery", "SELECT 1 WHERE 1 IN (SELECT 1 FROM system.one)", "table system.one"),
    ("system table right of IN", "SELECT 0 IN system.one", "name system.one"),
    ("system table right of IN, as a function", "SELECT in(0, (system.one))", "name system.one"),
    ("system table by an alias right of IN", "WITH system.one AS t SELECT 0 IN t", "name system.one"),
    ("table of another database", "SELECT * FROM other.secrets", "table other.secrets"),
    ("own table that holds no traces", "SELECT * FROM schema_migrations", "table schema_migrations"),
    ("the same right of IN", "SELECT 'x' IN schema_migrations", "name schema_migrations"),
    ("settings", "SELECT 1 SETTINGS max_execution_time = 0", "SETTINGS"),
    ("settings in a subquery", "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)", "SETTINGS"),
    ("INTO OUTFILE", "SELECT 1 INTO OUTFILE '/tmp/fluoro-out'", "Syntax error"),
    ("FORMAT", "SELECT 1 FORMAT CSV", "Syntax error"),
    ("two statements", "SELECT 1; DROP TABLE segments", "Multi-statements"),
    ("a way out of the parentheses", "SELECT 1) ; DROP TABLE segments; SELECT * FROM (SELECT 1", "Syntax error"),
    ("PARALLEL WITH", "SELECT 1 PARALLEL WITH DROP TABLE segments", "Syntax error"),
    ("DROP", "DROP TABLE segments", "only one SELECT"),
    ("INSERT", "INSERT INTO segments SELECT * FROM segments", "only one SELECT"),
    ("WITH … INSERT", "WITH 1 AS x INSERT INTO resources (id) SELECT x", "only one SELECT"),
    ("SET", "SET readonly = 0", "only one SELECT"),
    ("SHOW", "SHOW TABLES", "only one SELECT"),
    ("SYSTEM", "SYSTEM SHUTDOWN", "only one SELECT"),
    ("KILL", "KILL QUERY WHERE 1", "only one SELECT"),
    ("parameters", "SELECT {x:String}", "Substitution"),
    ("sleep", "SELECT sleep(3)", "function sleep"),
    ("host", "SELECT hostName()", "function hostName"),
    ("variables of the server", "SELECT @@version", "function globalVariable"),
    ("settings of the server", "SELECT getSetting('max_threads')", "function getSetting"),
    ("functions by name", "SELECT arrayReduce('sum', [1])", "function arrayReduce"),
    ("a hidden function of the engine", "SELECT __getScalar('a')", "function __getScalar"),
    ("a combinator on what is no aggregate", "SELECT fileIf('/etc/passwd', 1)", "function fileIf"),
    ("an aggregate's state", "SELECT sumState(1) AS s", "state of an aggregate"),
    ("nothing", " ", "empty"),
    ("not SQL", "SELECT FROM WHERE", "Syntax error"),
    ("an unknown column", "SELECT nonsense FROM segments", "nonsense"),
    ("an unknown table", "SELECT 1 FROM nonsense", "nonsense"),
    ("NUL", "SELECT 1\0; DROP TABLE segments", "control"),
    ("length", "SELECT 1" + " " * module.MAX_TEXT, "characters"),
    ("depth", "SELECT " + "(" * 3000 + "1" + ")" * 3000, "depth"),
    ("bytes in a text", "SELECT '\\xff'", "UTF-8"),
]


@pytest.mark.parametrize(("query", "reason"), [each[1:] for each in ATTACKS], ids=[each[0] for each in ATTACKS])
def test_what_is_refused_says_why(filled: Store, query: str, reason: str) -> None:
    with pytest.raises(SqlError) as refused:
        expert_sql(filled.engine, query)
    assert reason.lower() in str(refused.value).lower()
    assert len(str(refused.value)) < 1000
    assert "SETTINGS max" not in str(refused.value)
    assert not Path("/tmp/fluoro-out").exists()


def test_nothing_of_this_has_changed_anything(filled: Store) -> None:
    assert ask(filled, "SELECT count() FROM segments") == [[2]]


@pytest.mark.parametrize(
    "query",
    [
        "WITH a AS (SELECT arrayJoin(range(100000)) AS x) SELECT count() FROM a AS p CROSS JOIN a AS q CROSS JOIN a AS r",
        "SELECT groupArray(x) FROM (SELECT arrayJoin(range(500000)) AS x, arrayJoin(range(5000)))",
        "SELECT repeat('x', 1000000) FROM (SELECT arrayJoin(range(5000)))",
        "SELECT repeat('x', 1000000000) AS x",
        "SELECT arrayJoin([1, 10]) AS n ORDER BY n WITH FILL FROM 1 TO 1000000000000",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
        "WITH a AS (SELECT arrayJoin(range(200000)) AS x) SELECT 1 WHERE (SELECT count() FROM a AS p CROSS JOIN a AS q) = 1",
    ],
    ids=["join", "array", "result", "text", "fill", "recursion", "scalar"],
)
def test_what_explodes_is_stopped(filled: Store, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMITS", {**module.LIMITS, "max_execution_time": 0.4, "max_memory_usage": 200_000_000})
    with pytest.raises((SqlError, StoreBusy)) as stopped:
        expert_sql(filled.engine, query, module.MAX_ROWS)
    assert "limit" in str(stopped.value) or "Timeout exceeded" in str(stopped.value)


def test_one_runs_at_a_time(filled: Store) -> None:
    with module._running, pytest.raises(StoreBusy, match="another"):
        expert_sql(filled.engine, "SELECT 1")
    assert ask(filled, "SELECT 1") == [[1]]


def test_the_allow_list_names_nothing_dangerous(filled: Store) -> None:
    """No function that reads tables, files, dictionaries or the network, by the engine's own description."""
    found = filled.engine.query("SELECT lower(name) AS name, categories FROM system.functions WHERE alias_to = ''")
    kinds = dict(zip(found["name"], found["categories"], strict=True))
    refused = {"Dictionary", "Introspection", "AI", "Internal", "Embedded Dictionary", "Machine Learning", "Encryption"}
    by_design = {"casewithexpression"}  # CASE x WHEN …
    named = scalars() | aggregates()
    assert not {name for name in named - by_design if set(kinds.get(name, "").split(", ")) & refused}
    tables = filled.engine.query("SELECT lower(name) AS name FROM system.table_functions")["name"]
    assert not named & set(tables)
    assert len(tables) > 50
    assert not [
        name
        for name in ("file", "url", "sleep", "dictGet", "joinGet", "hostName", "fileIf", "sumFile")
        if allowed(name)
    ]
    assert all(map(allowed, ("sumIf", "SUM", "countDistinctIf", "quantilesIf", "uniqExactMerge", "toStartOfInterval")))


def test_all_tables_of_traces_can_be_read(filled: Store) -> None:
    existing = filled.engine.query("SELECT name FROM system.tables WHERE database = currentDatabase()")["name"]
    assert {"segments", "resources", "nodes_1m", "edges_1m", "traces"} <= TABLES & set(existing)
    for table in TABLES & set(existing):
        ask(filled, f"SELECT * FROM {table} LIMIT 1")
