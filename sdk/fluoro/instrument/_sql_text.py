"""What is recorded of an SQL text: its operation ("SELECT orders") and the text with every literal as `?`.

Strings, numbers and blobs become `?`, comments go. Where dialects and server settings read the same characters
differently, the reading that could show a value is never taken: from there on the whole text is one `?`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from fluoro.instrument._sql_operation import operation

MAX_QUERY = 4_096  # characters of a statement that are kept, counted after literals are gone
MAX_READ = 4 * MAX_QUERY  # characters that are looked at; a bulk INSERT may hold megabytes


class Statement(NamedTuple):
    """What is recorded of one text: `operation` such as "SELECT orders", `query` with every literal as `?`."""

    operation: str
    query: str


def statement(text: str, dialect: str = "") -> Statement:
    """The record of `text`; `dialect` is "postgresql", "mysql", "mariadb", "sqlite", or anything else: the strictest."""
    return _statement(text[:MAX_READ], dialect)


@lru_cache(maxsize=512)
def _statement(text: str, dialect: str) -> Statement:
    """Cached: an application has few texts when it uses parameters."""
    tokens = _tokens(text, _DIALECTS.get(dialect, _UNKNOWN))
    query = _ROWS.sub(r"\1, …", _LISTS.sub("?, …", "".join(tokens).strip()))
    return Statement(operation([piece for piece in tokens if piece != " "]), query[:MAX_QUERY])


class _Dialect(NamedTuple):
    """How a family of databases writes tokens.

    `double_quotes`: what "this" is: "name", "value", or "either" (then where it stands decides, see `_Place`).
    `nesting`: whether comments nest; None is unknown.
    """

    token: re.Pattern[str]
    double_quotes: str
    nesting: bool | None


def _string(quote: str, backslash: str = "") -> str:
    """A quoted run to its end or the text's, with the quote doubled inside. `backslash` escapes too, if given."""
    escape = rf"|{backslash}." if backslash else ""
    plain = f"[^{quote}{backslash}]*"
    return rf"{quote}{plain}(?:(?:{quote}{quote}{escape}){plain})*(?:{quote}|{backslash or '(?!)'}?\Z)"


def _pattern(*, gap: str = "", literal: str = "", string: str, quoted: str, parameter: str) -> re.Pattern[str]:
    """One token each, in the order they must be tried. Every alternative either fails at once or runs to its end or
    the text's, so the time is linear in the text.
    """
    return re.compile(
        rf"""
          (?P<gap>      \s+ {gap} )
        | (?P<comment>  /\* )
        | (?P<literal>  {literal} (?:[bBnNxX]|[uU]&)?{string}
                      | (?<![\w$@.?])\.?\d[\w.]*(?:(?<=[eE])[+-]\d+)? )
        | (?P<quoted>   {quoted} )
        | (?P<word>     [^\W\d][\w$]* )
        | (?P<operator> [<>=!|]+ )
        | (?P<other>    {parameter} | :[^\W\d]\w* | %[a-z]\b | . )
        """,
        re.VERBOSE | re.DOTALL,
    )


_BACKSLASH = r"\\"
_DOLLAR = r"\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z) |"
# A string that starts with E goes on in the next one when only white space is between them.
_ESCAPED = rf"[eE]{_string(chr(39), _BACKSLASH)}(?:\s*{_string(chr(39), _BACKSLASH)})* |"
# Oracle: q'[it's]' ends with the bracket that fits, or with the character it began with.
_ORACLE = r"[nN]?[qQ]'(?:\[.*?\]'|\{.*?\}'|\(.*?\)'|<.*?>'|(?P<mark>[^\s\[{(<]).*?(?P=mark)'|.*\Z) |"
_BACKTICKS = _string("`")

_POSTGRESQL = _Dialect(
    _pattern(
        gap=r"| --[^\n\r]*",
        literal=_DOLLAR + _ESCAPED,
        string=_string("'"),
        quoted=rf"(?:[uU]&)?{_string(chr(34))}",
        parameter=r"\$\d+",
    ),
    double_quotes="name",
    nesting=True,
)
_MYSQL = _Dialect(
    _pattern(
        gap=r"| --(?=[\s\x00-\x1f]|\Z)[^\n]* | \#[^\n]*",
        string=_string("'", _BACKSLASH),
        quoted=rf"{_string(chr(34), _BACKSLASH)} | {_BACKTICKS}",
        parameter=r"@\w+",
    ),
    double_quotes="value",
    nesting=False,
)
_SQLITE = _Dialect(
    _pattern(
        gap=r"| --[^\n]*",
        string=_string("'"),
        quoted=rf"{_string(chr(34))} | {_BACKTICKS} | \[[^\]]*(?:\]|\Z)",
        parameter=r"[$@?]\w+",
    ),
    double_quotes="either",
    nesting=False,
)
_UNKNOWN = _Dialect(
    _pattern(
        gap=r"| --[^\n]*",
        literal=_DOLLAR + _ORACLE + _ESCAPED,
        string=_string("'", _BACKSLASH),
        quoted=rf"{_string(chr(34), _BACKSLASH)} | {_BACKTICKS} | \[[^\W\d][\w $#@.-]*\]",
        parameter=r"[$@?]\w+",
    ),
    double_quotes="either",
    nesting=None,
)
_DIALECTS = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "mariadb": _MYSQL, "sqlite": _SQLITE}

_COMMENT_MARKS = re.compile(r"/\*|\*/")
_LISTS = re.compile(r"\?(?: ?, ?\?)+")
_ROWS = re.compile(r"(\(\?(?:, …)?\))(?: ?, ?\(\?(?:, …)?\))+")


def _tokens(text: str, dialect: _Dialect) -> list[str]:
    """The tokens of `text`, literals as "?", any run of white space and comments as " "."""
    tokens: list[str] = []
    place = _Place()
    position, match_at = 0, dialect.token.match
    while (match := match_at(text, position)) is not None:
        kind, piece = match.lastgroup, match.group()
        position = match.end()
        if kind == "comment":
            end = _comment_end(text, match.start(), dialect)
            if end < 0:
                return [*tokens, "?"]
            position, kind = end, "gap"
        if kind == "gap":
            if tokens and tokens[-1] != " ":
                tokens.append(" ")
            continue
        if kind == "literal" or (kind == "quoted" and _hides(piece, dialect, place, text[position : position + 1])):
            if _reads_differently(piece, dialect):
                return [*tokens, "?"]
            piece = "?"
        elif kind == "word" and place.password_follows():
            piece = "?"
        tokens.append(piece)
        place.move(piece.upper() if kind == "word" else piece)
    return tokens


def _comment_end(text: str, start: int, dialect: _Dialect) -> int:
    """Where the comment that begins at `start` ends; negative when that depends on the server: where nobody knows
    whether comments nest, and in MySQL's `/*! … */`, which some versions execute.
    """
    if not dialect.nesting and text.startswith(("/*!", "/*M!"), start):
        return -1
    depth = 0
    for mark in _COMMENT_MARKS.finditer(text, start):
        if mark.group() == "*/":
            depth -= 1
        elif depth == 0 or dialect.nesting:
            depth += 1
        elif dialect.nesting is None:
            return -1
        if depth == 0:
            return mark.end()
    return len(text)


def _hides(piece: str, dialect: _Dialect, place: _Place, following: str) -> bool:
    """Whether this quoted token may be a value."""
    closing = {"[": "]"}.get(piece[0], piece[-1] if piece[-1] in '"`' else "")
    if len(piece) < 2 or not closing or not piece.endswith(closing):  # it never ends
        return True
    if piece[0] != '"' or dialect.double_quotes == "name":
        return False
    return dialect.double_quotes == "value" or not (following == "." or place.is_a_names())


def _reads_differently(piece: str, dialect: _Dialect) -> bool:
    """A backslash before a quote ends the string or does not: NO_BACKSLASH_ESCAPES, standard_conforming_strings."""
    return dialect is not _SQLITE and piece[0] not in "eE$" and ("\\'" in piece or '\\"' in piece)


_BEFORE_NAME = frozenset(
    [
        "JOIN",
        "INTO",
        "UPDATE",
        "TABLE",
        "INDEX",
        "VIEW",
        "TRIGGER",
        "EXISTS",
        "REFERENCES",
        "COLUMN",
        "CONSTRAINT",
        "AS",
        "SET",
        "SAVEPOINT",
        "RELEASE",
    ]
)


class _Place:
    """Where in a statement the next token stands: enough to know the places that only a name can have.

    SQLite and some others take "this" for a name if there is one and else for a string. It is shown as a name beside
    a dot, after a word such as FROM or INTO, in INSERT's column list, and to the left in UPDATE's SET.
    """

    __slots__ = ("_first", "_into", "_last", "_last_but_one", "_setting")

    def __init__(self) -> None:
        self._last = self._last_but_one = ""
        self._first: list[str] = [""]  # for each open parenthesis, the token that followed it
        self._into = ""  # "name" expected, "named", inside the "list" of columns
        self._setting = -1  # how many parentheses were open at SET

    def is_a_names(self) -> bool:
        last = self._last
        if last == "FROM":  # not EXTRACT(day FROM "…"), not IS DISTINCT FROM "…"
            return self._last_but_one != "DISTINCT" and self._first[-1] in ("", "SELECT", "DELETE", "WITH")
        return (
            last == "."
            or last in _BEFORE_NAME
            or self._into == "list"
            or (last == "," and self._setting == len(self._first))
        )

    def password_follows(self) -> bool:
        """Oracle: IDENTIFIED BY tiger."""
        return self._last == "BY" and self._last_but_one == "IDENTIFIED"

    def move(self, piece: str) -> None:
        if len(self._first) > 1 and not self._first[-1]:
            self._first[-1] = piece
        if piece == "(":
            self._first.append("")
        elif piece == ")" and len(self._first) > 1:
            self._first.pop()
        elif piece == "SET":
            self._setting = len(self._first)
        elif piece in ("WHERE", "FROM", ";"):
            self._setting = -1
        self._into = self._next_into(piece)
        self._last_but_one, self._last = self._last, piece

    def _next_into(self, piece: str) -> str:
        if piece == "INTO" or (piece == "." and self._into == "named"):
            return "name"
        if self._into == "name":
            return "named"
        if self._into == "named" and piece == "(":
            return "list"
        return self._into if self._into == "list" and piece != ")" else ""
