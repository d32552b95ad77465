from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro_collector.query.filter import tree
from fluoro_collector.query.filter.compile import compile_filter
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.filter.parse import MAX_TERMS, parse

TEXT = st.text(max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


def comparisons(keywords: frozenset[str], operators: tuple[str, ...], values: st.SearchStrategy) -> st.SearchStrategy:
    words = st.sampled_from(sorted(keywords))
    return st.one_of(
        st.builds(tree.Comparison, words), st.builds(tree.Comparison, words, st.sampled_from(operators), values)
    )


NAMES = st.text(min_size=1, max_size=12)
PLAIN_KEYS = st.text(string.ascii_letters + string.digits + "_.", min_size=1, max_size=10)
NODES = st.builds(tree.Identity, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT)
SIMPLE = st.one_of(
    comparisons(tree.BOOLEANS, tree.BOOLEAN_OPERATORS, st.booleans()),
    comparisons(tree.NUMBERS, tree.NUMBER_OPERATORS, NUMBER),
    comparisons(tree.STRINGS, tree.STRING_OPERATORS, TEXT),
    st.builds(tree.Annotation, NAMES | PLAIN_KEYS),
    st.builds(tree.Annotation, NAMES | PLAIN_KEYS, st.sampled_from(tree.STRING_OPERATORS), TEXT),
    st.builds(tree.Annotation, NAMES | PLAIN_KEYS, st.sampled_from(tree.NUMBER_OPERATORS), NUMBER),
    st.builds(tree.Annotation, NAMES | PLAIN_KEYS, st.sampled_from(tree.BOOLEAN_OPERATORS), st.booleans()),
    st.builds(tree.Group, st.sampled_from(["name", "arn"]), TEXT),
    st.builds(tree.RootCausePath, st.sampled_from(["[]", '[{"Services": [{"Name": "a}"}]}]'])),
)


def combined(inner: st.SearchStrategy) -> st.SearchStrategy:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(tree.And, several),
        st.builds(tree.Or, several),
        st.builds(tree.Not, inner),
        st.builds(tree.Service, st.none() | NODES, st.none() | inner),
        st.builds(tree.Edge, NODES, NODES, st.none() | inner),
        st.builds(
            tree.RootCause,
            st.sampled_from(sorted(tree.ROOT_CAUSE_KINDS)),
            st.sampled_from(sorted(tree.ROOT_CAUSE_SUBJECTS)),
            inner,
        ),
    )


@given(st.recursive(SIMPLE, combined, max_leaves=6))
def test_the_text_of_a_tree_is_that_tree(expression: tree.Expression) -> None:
    assert parse(str(expression)) == expression


@given(
    st.text(max_size=40)
    | st.lists(
        st.sampled_from(
            [
                "fault",
                "ok",
                "!",
                "(",
                ")",
                "{",
                "}",
                "AND",
                "or",
                "=",
                "<=",
                '"x"',
                "5",
                "service",
                "id",
                "edge",
                ",",
                "annotation",
                "[k]",
                "annotation.k",
                "http.status",
                "user",
                "CONTAINS",
                "name",
                ":",
                "group.name",
                "#[]",
                "rootcause.json",
                "rootcause.fault.service",
                "true",
                "partial",
                "root",
                "duration",
            ]
        ),
        max_size=12,
    ).map(" ".join)
)
def test_any_text_compiles_or_is_a_filter_error(text: str) -> None:
    position = 0
    try:
        compile_filter(parse(text))
    except FilterError as error:
        position = error.position
    assert 0 <= position <= len(text)


@pytest.mark.parametrize(
    "text", ["(" * 5000, "!" * 2001, "service() {" * 300, "(" * 200 + "ok" + ")" * 200, "!" * 60 + "ok"]
)
def test_depth_and_length_are_limited(text: str) -> None:
    with pytest.raises(FilterError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("", 0, "a keyword"),
        ("fault =", 7, "true"),
        ("fault AND", 9, "a keyword"),
        ("responsetime > fast", 15, "a number"),
        ('http.url > "x"', 9, "CONTAINS"),
        ('user = "bob', 7, '"'),
        ("service(", 8, '"text"'),
        ("(fault", 6, '")"'),
        ("service() { fault", 17, '"}"'),
        ("latency > 5", 0, "a keyword such as fault, responsetime, http.url"),
        ("annotation", 10, "annotation.KEY"),
        ("annotation[k", 10, "]"),
        ("fault )", 6, "the end"),
        ("ok @", 3, "a keyword"),
        ('service(id(size: "x"))', 11, "name:"),
    ],
)
def test_an_error_says_where_and_what_could_stand_there(text: str, position: int, expected: str) -> None:
    with pytest.raises(FilterError) as raised:
        parse(text)
    assert raised.value.position == position
    assert expected in raised.value.expected
    assert f"(at position {position})" in str(raised.value)


def test_and_binds_closer_than_or_and_may_be_left_out() -> None:
    assert str(parse("ok OR fault !partial and user")) == "ok OR (fault AND !partial AND user)"
    assert str(parse("(ok or fault) !partial")) == "(ok OR fault) AND !partial"


def test_keywords_are_case_insensitive_and_keys_are_not() -> None:
    assert parse('ResponseTime > 2 AND HTTP.URL contains "a"') == parse('responsetime > 2 http.url CONTAINS "a"')
    assert parse("annotation.Key") != parse("annotation.key")


@pytest.mark.parametrize("joint", [" ", " AND ", " OR "])
def test_the_number_of_conditions_is_bounded(joint: str) -> None:
    parse(joint.join(["ok"] * MAX_TERMS))
    with pytest.raises(FilterError, match="more than 50 conditions"):
        parse(joint.join(['service("a")'] * (MAX_TERMS + 1)))
