"""The words of a filter expression."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from .errors import FilterError

MAX_LENGTH = 2000  # characters; X-Ray's own limit for a filter expression


class Token(NamedTuple):
    """`kind`: "word", "string", "number", "key" (in annotation[…]), "json", "end", the sign itself, or "bad".

    `text` is the value: a string without quotes and escapes; of a bad token what is wrong. `position` is the offset of its
    first character, `end` that after its last.
    """

    kind: str
    text: str
    position: int
    end: int


_SPACE = re.compile(r"\s*")
# A final dot belongs to a word that is still being written.
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*\.?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KEY = re.compile(r'\[([^\]"]*)\]')
_QUOTED_KEY = re.compile(r'\[\s*"((?:[^"\\]|\\.)*)"\s*\]', re.DOTALL)
_SIGN = re.compile(r"!=|<=|>=|[=<>!(){},:]")
_JSON = json.JSONDecoder()

NO_END = "this text has no end"
NO_KEY_END = "this annotation key has no end"
NO_JSON = "this is not JSON"


def tokenize(text: str) -> list[Token]:
    """All tokens up to the first bad one or the "end". Raises FilterError when the text is too long."""
    if len(text) > MAX_LENGTH:
        raise FilterError(f"a filter expression has at most {MAX_LENGTH} characters, this has {len(text)}", MAX_LENGTH)
    tokens: list[Token] = []
    position = _skip(text, 0)
    while position < len(text):
        token = _next(text, position, tokens)
        tokens.append(token)
        if token.kind == "bad":
            return tokens
        position = _skip(text, token.end)
    tokens.append(Token("end", "", len(text), len(text)))
    return tokens


def _next(text: str, at: int, before: list[Token]) -> Token:
    first = text[at]
    if first == '"':
        found = _STRING.match(text, at)
        if found is None:
            return Token("bad", NO_END, at, len(text))
        return Token("string", _ESCAPE.sub(r"\1", found[1]), at, found.end())
    if first == "[" and before and before[-1].text.lower() == "annotation" and before[-1].kind == "word":
        if quoted := _QUOTED_KEY.match(text, at):
            return Token("key", _ESCAPE.sub(r"\1", quoted[1]), at, quoted.end())
        if plain := _KEY.match(text, at):
            return Token("key", plain[1].strip(), at, plain.end())
        return Token("bad", NO_KEY_END, at, len(text))
    if first == "#":
        try:
            _, end = _JSON.raw_decode(text, at + 1)
        except (ValueError, RecursionError):
            return Token("bad", NO_JSON, at + 1, len(text))
        return Token("json", text[at + 1 : end], at, end)
    for kind, pattern in (("word", _WORD), ("number", _NUMBER), ("", _SIGN)):
        if found := pattern.match(text, at):
            return Token(kind or found[0], found[0], at, found.end())
    return Token("bad", f"unexpected {first!r}", at, len(text))


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
