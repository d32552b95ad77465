"""How a database call is recorded: its span's name, its operation ("SELECT orders") and its text without literals.

Drivers differ only in what they call `query_span` with. Nothing a user stored leaves the process: strings, numbers
and blobs in the text become `?`, comments go, parameters are never looked at.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from fluoro.model import Kind, Sql
from fluoro.recorder import Span, recorder

MAX_QUERY = 4_096  # characters of a statement that are kept, counted after literals are gone
_MAX_READ = 4 * MAX_QUERY  # characters that are looked at; a bulk INSERT may hold megabytes


class Statement(NamedTuple):
    """What is recorded of one text: `operation` such as "SELECT orders", `query` with every literal as `?`."""

    operation: str
    query: str


def query_span(database: str, database_type: str, text: object, database_version: str = "") -> Span | None:
    """A call span for one execution of `text`; `database` is what the node on the map is called.

    None inside another database call, where a driver or an application's subclass of it calls itself, and for what is
    no text: the driver will refuse it.
    """
    current = recorder.current()
    if not isinstance(text, str) or (current is not None and current.recording and current.segment.sql is not None):
        return None
    operation, query = statement(text)
    span = recorder.begin(database, operation, Kind.CLIENT, "remote")
    if span.recording:
        span.segment.sql = Sql(database_type=database_type, query=query, database_version=database_version)
    return span


def end(span: Span, _result: object, error: BaseException | None) -> None:
    """The call returned, or raised `error`."""
    if isinstance(error, Exception):
        span.fail(error)
    span.end()


# One token each, in the order they must be tried. A string or comment that never ends runs to the end of the text.
# A backslash escapes in E'strings' only, as in the SQL standard, SQLite and PostgreSQL; MySQL needs a rule of its own.
_TOKEN = re.compile(
    r"""
      (?P<gap>      \s+ | --[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<literal>  \b[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)
                  | (?:\b[bBnNxX]|\b[uU]&)?'(?:[^']|'')*(?:'|\Z)
                  | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
                  | (?<![\w$@.?])\.?\d[\w.]*(?:(?<=[eE])[+-]\d+)? )
    | (?P<quoted>   "(?:[^"]|"")*(?:"|\Z) | `(?:[^`]|``)*(?:`|\Z) | \[[^\W\d][^\]\n'"]*\] )
    | (?P<word>     [^\W\d][\w$]* )
    | (?P<operator> [<>=!|]+ )
    | (?P<other>    [$@?]\w+ | :[^\W\d]\w* | %[a-z]\b | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_LISTS = re.compile(r"\?(?: ?, ?\?)+")
_COMPARES = frozenset({"LIKE", "GLOB", "MATCH", "REGEXP", "IS", "ESCAPE", "VALUES"})


@lru_cache(maxsize=1024)
def statement(text: str) -> Statement:
    """The record of `text`. Cached: an application has few texts when it uses parameters."""
    tokens = _tokens(text[:_MAX_READ])
    query = _LISTS.sub("?, …", "".join(tokens).strip())
    return Statement(_operation([piece for piece in tokens if piece != " "]), query[:MAX_QUERY])


def _tokens(text: str) -> list[str]:
    """The tokens of `text`, literals as "?", any run of white space and comments as " ".

    "double quotes" are an identifier, and in SQLite and MySQL sometimes a string. They are taken for a string where a
    value stands: after a comparison, in VALUES and in IN (…). That may hide an identifier; it does not show a value.
    """
    tokens: list[str] = []
    value_follows = in_values = False
    for match in _TOKEN.finditer(text):
        kind, piece = match.lastgroup, match.group()
        if kind == "gap":
            if tokens and tokens[-1] != " ":
                tokens.append(" ")
            continue
        if kind == "literal" or (kind == "quoted" and piece[0] == '"' and (value_follows or in_values)):
            piece = "?"
        tokens.append(piece)
        upper = piece.upper() if kind == "word" else piece
        value_follows = kind == "operator" or upper in _COMPARES or (value_follows and piece == "(")
        in_values = upper in ("VALUES", "IN") or (in_values and kind != "word" and piece != ";")
    return tokens


_TABLE_AFTER = {
    "SELECT": ("FROM",),
    "DELETE": ("FROM",),
    "INSERT": ("INTO",),
    "REPLACE": ("INTO",),
    "MERGE": ("INTO",),
    "UPDATE": ("UPDATE",),
    "CREATE": ("TABLE", "INDEX", "VIEW", "TRIGGER", "DATABASE", "SCHEMA"),
    "DROP": ("TABLE", "INDEX", "VIEW", "TRIGGER", "DATABASE", "SCHEMA"),
    "ALTER": ("TABLE", "INDEX", "VIEW", "DATABASE", "SCHEMA"),
    "TRUNCATE": ("TABLE", "TRUNCATE"),
    "PRAGMA": ("PRAGMA",),
    "CALL": ("CALL",),
    "EXEC": ("EXEC",),
}
_BETWEEN = frozenset(
    {"IF", "NOT", "EXISTS", "ONLY", "LATERAL", "OR", "ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE", "LOW_PRIORITY"}
)
_VERBS = frozenset({"SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE"})
_NAME = re.compile(r'[^\W\d][\w$]*\Z|["`\[]')


def _operation(tokens: list[str]) -> str:
    """Verb and first table. Of a WITH statement, the verb that follows its common tables."""
    words = [token.upper() for token in tokens]
    start = next((i for i, word in enumerate(words) if word[0].isalpha()), -1)
    if start < 0:
        return "SQL"
    if words[start] == "WITH":
        start = _at_depth_0(words, start, _VERBS, start)
    verb = words[start][:32]
    after = _TABLE_AFTER.get(verb)
    if after is None:
        return verb
    place = _at_depth_0(words, start, frozenset(after), -1)
    if place < 0 or (verb == "SELECT" and not _name_at(tokens, place + 1)):
        place = next((i for i in range(start, len(words) - 1) if words[i] in after and _name_at(tokens, i + 1)), -1)
    label = f"{verb} {words[place]}" if verb in ("CREATE", "DROP", "ALTER") and place >= 0 else verb
    name = _name_at(tokens, place + 1) if place >= 0 else ""
    return f"{label} {name}" if name else label


def _at_depth_0(words: list[str], start: int, wanted: frozenset[str], default: int) -> int:
    """Index of the first of `wanted` outside parentheses, from `start` on; else `default`."""
    depth = 0
    for index in range(start, len(words)):
        word = words[index]
        depth += (word == "(") - (word == ")")
        if depth == 0 and word in wanted:
            return index
    return default


def _name_at(tokens: list[str], index: int) -> str:
    """The possibly quoted and dotted name at `index`, without its quotes; "" when something else stands there."""
    while index < len(tokens) and tokens[index].upper() in _BETWEEN:
        index += 1
    parts = []
    while index < len(tokens) and _NAME.match(tokens[index]):
        parts.append(tokens[index].strip('"`[]'))
        if index + 2 >= len(tokens) or tokens[index + 1] != ".":
            break
        index += 2
    return ".".join(parts)[:128]
