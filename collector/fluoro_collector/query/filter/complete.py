"""What could be written at a place of a filter expression: the parser's own notes of what it would take there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .errors import FilterError
from .grammar import WORD_OPERATORS, Expectation
from .parse import Parser
from .tokens import NO_END, NO_KEY_END, Token, tokenize

_WORD_REST = re.compile(r"[A-Za-z0-9_.]*")
_OPEN_SIGNS = frozenset({"<", ">", "!"})  # another sign may follow and make one of both
_NO_SPACE_AFTER = frozenset("({!,:[")


class Suggestion(NamedTuple):
    """Replace `text[start:end]` of the expression by `insert`; `text` is what a list shows.

    `kind` is "keyword", "operator", "sign", "boolean" or "json"; or what has to be asked elsewhere, and then `insert` is "":
    "values" (a quoted value of the keyword `text`, or of "service", "type"), "keys" (a key of an annotation; of
    "annotation[" in the form ["key"]) and "number". Of these, what was written of it so far is the expression's text from `start` to the cursor.
    """

    kind: str
    text: str
    insert: str
    start: int
    end: int
    detail: str


def complete(text: str, cursor: int) -> list[Suggestion]:
    """Everything that could stand at `cursor` (0 to len(text)); [] where the text before it is wrong already."""
    cursor = max(0, min(cursor, len(text)))
    before = text[:cursor]
    try:
        tokens = tokenize(before)
    except FilterError:
        return []
    last = tokens[-1]
    if last.kind == "bad":
        return list(_open_value(text, cursor, tokens))
    written = tokens[-2] if len(tokens) > 1 and tokens[-2].end == cursor else None
    if written is not None and written.kind == "word":
        return _word(text, cursor, tokens, written)
    found: list[Suggestion] = []
    if written is not None and written.kind in _OPEN_SIGNS:
        for each in _expected(tokens[:-2], written.position):
            longer = each.insert.startswith(written.kind) and each.insert != written.kind
            if longer and each.kind == "operator":
                found.append(_suggestion(each, before, written.position, cursor))
    found += (_suggestion(each, before, cursor, cursor) for each in _told(_expected(tokens[:-1], cursor)))
    return found


def _expected(tokens: list[Token], at: int) -> list[Expectation]:
    """What could follow these tokens."""
    parser = Parser([*tokens, Token("end", "", at, at)])
    try:
        parser.whole()
    except FilterError:
        if parser.here.kind != "end":
            return []
    return [each for each in parser.expected.values() if each.kind != "end"]


def _told(expected: list[Expectation]) -> Iterator[Expectation]:
    return (each for each in expected if not each.aside)


def _word(text: str, cursor: int, tokens: list[Token], written: Token) -> list[Suggestion]:
    """The words that begin like the one being written, then those of which a later part does."""
    prefix = written.text.lower()
    rest = _WORD_REST.match(text, cursor)
    end = rest.end() if rest else cursor
    begin: list[Suggestion] = []
    inside: list[Suggestion] = []
    for each in _expected(tokens[:-2], written.position):
        label = each.label.lower()
        if each.kind in ("text", "number", "sign", "json"):
            continue
        if label == "annotation." and prefix.startswith(label):
            begin.append(Suggestion("keys", "annotation", "", written.position + len(label), end, each.detail))
        elif label.startswith(prefix):
            begin.append(_suggestion(each, text[: written.position], written.position, end))
        elif f".{prefix}" in label:
            inside.append(_suggestion(each, text[: written.position], written.position, end))
    return begin + inside


def _open_value(text: str, cursor: int, tokens: list[Token]) -> Iterator[Suggestion]:
    """A text or an annotation key whose end is not written yet."""
    bad = tokens[-1]
    if bad.text == NO_END:
        for each in _expected(tokens[:-1], bad.position):
            if each.kind == "text":
                yield Suggestion(
                    "values", each.values, "", bad.position, _end_of(text, bad.position, cursor), each.detail
                )
    elif bad.text == NO_KEY_END:
        yield Suggestion("keys", "annotation[", "", bad.position, _end_of(text, bad.position, cursor), "")


def _end_of(text: str, start: int, cursor: int) -> int:
    """Where the token at `start` ends in the whole text; the cursor if it has no end there either."""
    try:
        tokens = tokenize(text)
    except FilterError:
        return cursor
    return next((token.end for token in tokens if token.position == start and token.kind != "bad"), cursor)


def _suggestion(expectation: Expectation, before: str, start: int, end: int) -> Suggestion:
    kind = expectation.kind
    if kind == "text":
        return Suggestion("values", expectation.values, "", start, end, expectation.detail)
    if kind == "key":
        return Suggestion("keys", "annotation", "", start, end, expectation.detail)
    if kind == "number":
        return Suggestion("number", expectation.label, "", start, end, expectation.detail)
    insert = expectation.insert
    if start == end and before and not before[-1].isspace() and before[-1] not in _NO_SPACE_AFTER:
        word = insert[0].isalnum() or insert in WORD_OPERATORS
        insert = f" {insert}" if word or kind == "operator" else insert
    return Suggestion(kind, insert.strip(), insert, start, end, expectation.detail)
