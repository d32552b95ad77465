"""SQL for experts: one SELECT over the tables of the store, read only and limited.

The embedded engine has no users to take rights from, and its setting `readonly` leaves `SELECT file('/etc/passwd')` and
every system table open. So what a query may name is decided here, before it runs, on the engine's own syntax tree:

1. The engine parses the text and writes it anew (`formatQuerySingleLine`, which runs nothing): one complete statement
   without comments, or an error. Everything after works on this text, inside parentheses: what is no SELECT is no query there.
2. `EXPLAIN AST` prints its tree, one node a line. Each line must be of a kind that is known to be harmless; tables must be ours
   (or be names that the query gives to its own subqueries), functions on the allow list. What is not known is refused,
   so what a new version of the engine can do is refused too. A name with a line break in it makes lines more, never fewer.
3. It runs with `readonly` and limits on time, memory, threads and the result; one at a time, since a few functions
   look at the clock only between blocks.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from fluoro_collector.query.expert.functions import allowed
from fluoro_collector.store.engine import Engine, StoreBusy, StoreError

MAX_TEXT = 20_000  # characters of a query
MAX_ROWS = 10_000
MAX_BYTES = 16 << 20  # of the result, as the engine counts them
MAX_SECONDS = 30
MAX_MEMORY = 1 << 30
# Copies of a row stay until a merge: `FINAL` after the table's name counts each once.
TABLES = frozenset(
    {
        *("segments", "resources", "traces", "completions_1h", "sampling_statistics"),
        *(f"{table}_{period}" for table in ("nodes", "edges") for period in ("1m", "1h", "1d")),
    }
)
LIMITS: dict[str, float] = {
    "max_execution_time": MAX_SECONDS,
    "max_memory_usage": MAX_MEMORY,
    "max_threads": 2,
    "max_block_size": 8192,
    "max_result_rows": MAX_ROWS + 1,
    "max_result_bytes": MAX_BYTES,
    "max_rows_in_join": 10_000_000,
    "max_ast_elements": 10_000,
    "allow_ddl": 0,
    "allow_introspection_functions": 0,
    "readonly": 1,
}
# Kinds of node that hold only what their own lines name. Not among them: Set (settings), ColumnsApplyTransformer (calls a
# function that the tree does not name), QueryParameter, and every statement that is no SELECT.
_HARMLESS = frozenset(
    {
        *(
            "SelectWithUnionQuery",
            "SelectIntersectExceptQuery",
            "SelectQuery",
            "Subquery",
            "ExpressionList",
            "WithElement",
        ),
        *(
            "TablesInSelectQuery",
            "TablesInSelectQueryElement",
            "TableExpression",
            "TableJoin",
            "ArrayJoin",
            "SampleRatio",
        ),
        *(
            "Asterisk",
            "QualifiedAsterisk",
            "ColumnsRegexpMatcher",
            "ColumnsListMatcher",
            "QualifiedColumnsRegexpMatcher",
        ),
        *(
            "QualifiedColumnsListMatcher",
            "ColumnsTransformerList",
            "ColumnsExceptTransformer",
            "ColumnsReplaceTransformer",
        ),
        *("ColumnsReplaceTransformer::Replacement", "OrderByElement", "InterpolateElement", "WindowDefinition"),
        *("WindowListElement", "Literal"),
    }
)
_OUR_SETTINGS = "   Set"  # of the outermost SELECT; those of the query itself are further in
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# The embedded engine loads pandas as soon as it parses a table of Python objects, though nothing runs.
_PYTHON = re.compile(r"python[\"`]?\s*\(", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)\.\s+(?:DB::Exception: )?(.*)", re.DOTALL)
# What the engine adds to its complaint: the statement around the query, its own version, the name of the code.
_ADDED = re.compile(
    r"(\)?\n?SETTINGS max_execution_time.*|: In scope .*|In query .*|\(version [^)]*\)|\([A-Z_]+\)\.?$| \(line \d+, col \d+\))",
    re.DOTALL,
)
_LIMIT_CODES = {158, 191, 241, 306, 307, 396}  # rows, join, memory, depth, bytes, result
_MAX_MESSAGE = 500
_running = threading.Lock()


class SqlError(ValueError):
    """The query is refused, wrong, or over a limit; the text says why and what would work."""


class SqlColumn(msgspec.Struct, kw_only=True):
    """`type` is ClickHouse's."""

    name: str
    type: str


class SqlAnswer(msgspec.Struct, kw_only=True):
    """Rows as lists, in the order of `columns`. `truncated`: there are more rows than asked for. `seconds` it took.

    Times are ISO 8601 in UTC with the column's precision, FixedString(16) a trace id as "1-8hex-24hex", other FixedStrings hex,
    whole numbers JSON numbers of up to 64 bits, NaN and infinity null, maps objects, tuples lists (named ones objects).
    """

    columns: list[SqlColumn]
    rows: list[msgspec.Raw]
    truncated: bool
    seconds: float


def expert_sql(engine: Engine, query: str, limit: int = 1000) -> SqlAnswer:
    """The first `limit` (1 to MAX_ROWS) rows of a SELECT. Raises SqlError; StoreBusy while another such query runs."""
    if not _running.acquire(blocking=False):
        raise StoreBusy("another SQL query is running")
    try:
        return _answer(engine, query, limit)
    finally:
        _running.release()


def _answer(engine: Engine, query: str, limit: int) -> SqlAnswer:
    began = time.monotonic()
    text = checked(engine, query)
    described = _ask(engine, f"DESCRIBE TABLE ({text})", 5000)
    columns = [SqlColumn(name=name, type=kind) for name, kind in zip(described["name"], described["type"], strict=True)]
    for column in columns:
        if "AggregateFunction(" in column.type:
            raise SqlError(f"column {column.name!r} is the state of an aggregate: finish it with …Merge(…)")
    values = ", ',', ".join(
        f"ifNull(toJSONString({_shown(_quoted(column.name), column.type)}), 'null')" for column in columns
    )
    found = _ask(
        engine,
        # `text` passed `checked`; names are quoted.
        f"SELECT concat('[', {values}, ']') AS row FROM ({text}) LIMIT {limit + 1}",  # noqa: S608
        limit + 1,
    )["row"]
    return SqlAnswer(
        columns=columns,
        rows=[msgspec.Raw(_utf8(row)) for row in found[:limit]],
        truncated=len(found) > limit,
        seconds=round(time.monotonic() - began, 6),
    )


def checked(engine: Engine, query: str) -> str:
    """The query as the engine writes it, when it may run. Raises SqlError."""
    if not query.strip():
        raise SqlError("the query is empty; write a SELECT")
    if len(query) > MAX_TEXT:
        raise SqlError(f"the query is over {MAX_TEXT} characters")
    if _CONTROL.search(query):
        raise SqlError("the query holds control characters")
    if _PYTHON.search(query):
        raise SqlError("the function Python is not allowed")
    text = _ask(engine, "SELECT formatQuerySingleLine({query:String}) AS text", 1, {"query": query})["text"][0]
    if not isinstance(text, str):
        raise SqlError("a text in the query is not UTF-8; write unhex('…')")
    if not text.lstrip("( ").startswith(("SELECT", "WITH")):
        raise SqlError("only one SELECT is allowed")
    tree = _ask(engine, f"EXPLAIN AST SELECT * FROM ({text})", 1_000_000)["explain"]  # noqa: S608 - nothing runs
    _inspect(tree, _Names(engine))
    return text


class _Names:
    """What names in the engine could mean besides columns: its databases, and tables of ours that are not to be read."""

    def __init__(self, engine: Engine) -> None:
        found = engine.query(
            "SELECT groupUniqArray(lower(name)) AS databases,"
            " (SELECT groupUniqArray(name) FROM system.tables WHERE database = currentDatabase()) AS tables FROM system.databases"
        )
        self.databases = frozenset(found["databases"][0]) | {"system", "information_schema"}
        self.hidden = frozenset(found["tables"][0]) - TABLES


def _inspect(tree: Iterable[str], names: _Names) -> None:
    for line in tree:
        kind, _, rest = line.strip().partition(" ")
        name = re.split(r" \((?:alias|children) ", rest, maxsplit=1)[0]
        if kind == "Function":
            if not allowed(name):
                raise SqlError(f"the function {_cut(name)} is not allowed")
        elif kind == "TableIdentifier":
            # A name that is no table is one of a WITH, or the engine says that it does not know it.
            if "." in name or name in names.hidden:
                raise SqlError(f"the table {_cut(name)} is not allowed; there are {', '.join(sorted(TABLES))}")
        elif kind == "Identifier":
            # Right of IN an identifier is a table.
            if name in names.hidden or ("." in name and name.partition(".")[0].lower() in names.databases):
                raise SqlError(f"the name {_cut(name)} is not allowed")
        elif kind == "Set" and line != _OUR_SETTINGS:
            raise SqlError("SETTINGS are not allowed")
        elif kind and kind != "Set" and kind not in _HARMLESS:
            raise SqlError(f"{_cut(kind)} is not allowed")


def _ask(engine: Engine, sql: str, rows: int, params: dict[str, Any] | None = None) -> dict[str, list[Any]]:
    """Run with LIMITS. The engine's complaint becomes a SqlError, unless the store itself is the trouble."""
    try:
        return engine.query(sql, params, {**LIMITS, "max_result_rows": rows})
    except StoreError as error:
        found = _CODE.search(str(error).strip())
        if found is None:
            raise
        code = int(found[1])
        if isinstance(error, StoreBusy) and code not in _LIMIT_CODES:
            raise
        message = _ADDED.sub("", found[2]).strip()
        over = "the query is over a limit: " if code in _LIMIT_CODES else ""
        raise SqlError(f"{over}{_cut(message)}") from None


def _shown(expression: str, kind: str) -> str:
    """`expression` of a type as JSON should show it."""
    wrapped = re.fullmatch(r"(Nullable|LowCardinality|Array)\((.*)\)", kind, re.DOTALL)
    if wrapped is not None and wrapped[1] != "Array":
        return _shown(expression, wrapped[2])
    if wrapped is not None:
        inner = _shown("each", wrapped[2])
        # A lambda names its argument by depth only: the inner one hides the outer.
        return expression if inner == "each" else f"arrayMap(each -> {inner}, {expression})"
    if kind == "FixedString(16)":
        return f"concat('1-', lower(hex(substring({expression}, 1, 4))), '-', lower(hex(substring({expression}, 5))))"
    if kind.startswith("FixedString("):
        return f"lower(hex({expression}))"
    if kind.startswith("DateTime"):
        return f"concat(replaceOne(toString(toTimeZone({expression}, 'UTC')), ' ', 'T'), 'Z')"
    return expression


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _utf8(row: str | bytes) -> bytes:
    """A text column may hold any bytes; JSON may not."""
    return row.encode() if isinstance(row, str) else row.decode(errors="replace").encode()


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"
