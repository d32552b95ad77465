"""Completion: whatever is suggested can be written there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter_trees import WORDS, expressions
from fluoro_collector.query.filter import tree
from fluoro_collector.query.filter.complete import Suggestion, complete
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.filter.grammar import COMPLEX, KEYWORDS
from fluoro_collector.query.filter.parse import parse

# What a caller puts in for a suggestion that has to be asked elsewhere.
_ASKED = {"number": "5", "values": '"x"'}


def shown(text: str) -> list[str]:
    """Suggestions at "|"."""
    return [each.text for each in complete(text.replace("|", ""), text.index("|"))]


def inserted(text: str, suggestion: Suggestion) -> str:
    insert = suggestion.insert or _ASKED.get(suggestion.kind)
    if insert is None:
        insert = '["k"]' if suggestion.text == "annotation[" else "k"
    return text[: suggestion.start] + insert


@given(expressions(), st.data())
def test_a_suggestion_can_be_written_where_it_is_suggested(expression: tree.Expression, data: st.DataObject) -> None:
    text = str(expression)
    cursor = data.draw(st.integers(0, len(text)))
    for suggestion in complete(text, cursor):
        assert suggestion.start <= cursor <= suggestion.end <= len(text)
        longer = inserted(text, suggestion)
        if longer.endswith('["'):  # a key whose end its writer has to write
            longer += 'k"]'
        if longer.endswith("#["):
            longer += "]"
        try:
            parse(longer)
        except FilterError as error:
            assert error.position == len(longer), (longer, suggestion)  # noqa: PT017 - nothing, or only the rest, is wrong


@given(st.text(max_size=30) | st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), st.integers(-2, 40))
def test_any_text_gets_suggestions_or_none(text: str, cursor: int) -> None:
    complete(text, cursor)


def test_an_empty_expression_begins_with_any_keyword_of_a_trace() -> None:
    assert set(shown("|")) == {
        *(name for name, each in KEYWORDS.items() if any(scope.name == "TRACE" for scope in each.scopes)),
        *(each.insert for each in COMPLEX.values()),
        *("!", "("),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resp|", ["responsetime", "rootcause.responsetime.service", "rootcause.responsetime.entity"]),
        ("status|", ["http.status"]),
        ("ok |", ["=", "!=", "AND", "OR"]),
        ("ok A|", ["AND", "availabilityzone", "account.id", "annotation.", 'annotation["']),
        ("http.status |", ["=", "!=", "<", "<=", ">", ">=", "AND", "OR"]),
        ("http.status <|", ["<=", "a number"]),
        ("fault = |", ["true", "false"]),
        ("fault = t|", ["true"]),
        ("user = |", ["user"]),
        ('user = "bo|b" AND ok', ["user"]),
        ("annotation.plan = |", ["annotation.plan", "a number", "true", "false"]),
        ("annotation.plan CONTAINS |", ["annotation.plan"]),
        ("annotation.pl|", ["annotation"]),
        ('annotation["pl|', ["annotation["]),
        ("service(|", [")", "service", "id("]),
        ('service("x"|', [")"]),
        ('service("x") |', ["{", "AND", "OR"]),
        ("service(id(|", [")", "name:", "type:", "account.id:"]),
        ('service(id(name: "x", |', ["type:", "account.id:"]),
        ("service(id(type: |", ["type"]),
        ("rootcause.fault.entity { cov|", ["coverage"]),
        ("edge(id(), id()) { r|", ["responsetime", "remote"]),
        ("rootcause.fault.service |", ["{"]),
        ("fault ) |", []),
        ("fault @ |", []),
        ("group.n|", ["group.name"]),
    ],
)
def test_what_is_suggested(text: str, expected: list[str]) -> None:
    found = shown(text)
    assert found[: len(expected)] == expected if expected else found == []


@pytest.mark.parametrize(
    ("text", "cursor", "word", "result"),
    [
        ("resp > 5", 4, "responsetime", "responsetime > 5"),
        ("faut = true", 2, "fault", "fault = true"),
        ('service("x")', 12, "AND", 'service("x") AND'),
        ("responsetime > 5", 16, "AND", "responsetime > 5 AND"),
        ('user="x"', 4, "user", 'user="x"'),
    ],
)
def test_a_suggestion_replaces_the_word_under_the_cursor(text: str, cursor: int, word: str, result: str) -> None:
    chosen = next(each for each in complete(text, cursor) if each.text == word)
    assert text[: chosen.start] + chosen.insert + text[chosen.end :] == result
