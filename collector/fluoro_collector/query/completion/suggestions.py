"""What the filter box offers at the cursor: words of the grammar, and values and annotation keys that are stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from fluoro_collector.query.completion.values import keys, values
from fluoro_collector.query.filter import tree
from fluoro_collector.query.filter.complete import Suggestion
from fluoro_collector.query.filter.complete import complete as suggestions
from fluoro_collector.store.engine import Engine

MAX_TEXT = 10_000  # characters of an expression that is completed; a longer one gets no list
LIMIT = 50  # stored values or keys

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,9})?")
# Of the keywords that are numbers only this one has a few typical values.
_STATUS = re.compile(r"http\.status\s*(?:!=|<=|>=|[=<>])\s*(\d*)$", re.IGNORECASE)
_ANNOTATION = "annotation."


class Completion(msgspec.Struct, kw_only=True):
    """Replace `text[start:end]` of the expression by `insert`; a list shows `text` and `detail`.

    `kind`: "keyword", "operator", "sign", "boolean", "json", "value", "key", or "number": then only the writer knows what to
    insert, and it is "". Positions are in characters. `traces`: how many had the value in the hours of the range, at most some
    minutes ago; of a key its rows; null for words.
    """

    kind: str
    text: str
    insert: str
    start: int
    end: int
    detail: str
    traces: int | None = None


class Completions(msgspec.Struct, kw_only=True):
    """Best first; [] where the text before the cursor is wrong already."""

    completions: list[Completion]


def completions(
    engine: Engine, text: str, cursor: int, start: float, end: float, group_names: Sequence[str] = ()
) -> Completions:
    """What could stand at `cursor` of the filter expression `text`; values are those of [start, end) (epoch seconds)."""
    if len(text) > MAX_TEXT:
        return Completions(completions=[])
    cursor = max(0, min(cursor, len(text)))
    found: list[Completion] = list(_statuses(engine, text[:cursor], start, end))
    for each in suggestions(text, cursor):
        written = text[each.start : cursor]
        if each.kind == "values":
            found += _values(engine, each, written, start, end, group_names)
        elif each.kind == "keys":
            found += _keys(engine, each, written, start, end)
        else:
            found.append(Completion(**each._asdict()))
    return Completions(completions=found)


def _values(
    engine: Engine, place: Suggestion, written: str, start: float, end: float, group_names: Sequence[str]
) -> Iterator[Completion]:
    quoted = written.startswith('"')
    prefix = re.sub(r"\\(.)", r"\1", written[1:]) if quoted else ""
    if place.text == "group.name":
        names = [name for name in group_names if name.lower().startswith(prefix.lower())]
        stored: list[tuple[str, int | None]] = [(name, None) for name in names]
    else:
        stored = [*values(engine, start, end, _NAMES.get(place.text, place.text), prefix, LIMIT)]
    for value, traces in stored:
        number = not quoted and place.text.startswith(_ANNOTATION) and _NUMBER.fullmatch(value)
        yield Completion(
            kind="value",
            text=value,
            insert=value if number else _quoted(value),
            start=place.start,
            end=place.end,
            detail="",
            traces=traces,
        )


_NAMES = {"name": "service"}  # in the block of a root cause


def _keys(engine: Engine, place: Suggestion, written: str, start: float, end: float) -> Iterator[Completion]:
    """A key with other characters than words have is written in brackets, also where a plain one was begun."""
    bracket = place.text == "annotation["
    prefix = re.sub(r"\\(.)", r"\1", written.removeprefix("[").removeprefix('"')) if bracket else written
    for key, rows in keys(engine, start, end, prefix, LIMIT):
        begin = place.start
        if bracket:
            insert = f"[{_quoted(key)}]"
        elif _PLAIN_KEY.fullmatch(key):
            insert = key
        else:
            insert, begin = str(tree.Annotation(key)), place.start - len(_ANNOTATION)
        yield Completion(kind="key", text=key, insert=insert, start=begin, end=place.end, detail="", traces=rows)


def _statuses(engine: Engine, before: str, start: float, end: float) -> Iterator[Completion]:
    written = _STATUS.search(before)
    if written is not None:
        for value, traces in values(engine, start, end, "http.status", written[1], LIMIT):
            yield Completion(
                kind="value",
                text=value,
                insert=value,
                start=written.start(1),
                end=len(before),
                detail="",
                traces=traces,
            )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
