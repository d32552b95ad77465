"""What an SQL statement does, and to which table: "SELECT orders", the operation that calls are grouped by."""

from __future__ import annotations

import re

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
    "COPY": ("COPY",),
}
_BETWEEN = frozenset(
    {"IF", "NOT", "EXISTS", "ONLY", "LATERAL", "OR", "ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE", "LOW_PRIORITY"}
)
_VERBS = frozenset({"SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE"})
_NAME = re.compile(r'[^\W\d][\w$]*\Z|["`\[]')


def operation(tokens: list[str]) -> str:
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
