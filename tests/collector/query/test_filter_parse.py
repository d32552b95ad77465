from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter_trees import WORDS, expressions
from fluoro_collector.query.filter import grammar, tree
from fluoro_collector.query.filter.compile import compile_filter
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.filter.grammar import KEYWORDS, Scope
from fluoro_collector.query.filter.parse import MAX_TERMS, parse


@given(expressions())
def test_the_text_of_a_tree_is_that_tree(expression: tree.Expression) -> None:
    assert parse(str(expression)) == expression


@given(expressions())
def test_what_parses_compiles(expression: tree.Expression) -> None:
    compile_filter(expression, lambda _of, _value: 'edge("a", "b") { fault }')


@given(st.text(max_size=40) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_any_text_compiles_or_is_a_filter_error(text: str) -> None:
    position = 0
    try:
        compile_filter(parse(text))
    except FilterError as error:
        position = error.position
    assert 0 <= position <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "!" * 2001,
        "service() {" * 300,
        "(" * 200 + "ok" + ")" * 200,
        "!" * 60 + "ok",
        "rootcause.json = #" + "[" * 1900,
    ],
)
def test_depth_and_length_are_limited(text: str) -> None:
    with pytest.raises(FilterError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("", 0, "fault"),
        ("fault =", 7, "true"),
        ("fault AND", 9, "responsetime"),
        ("responsetime > fast", 15, "a number"),
        ('http.url > "x"', 9, "CONTAINS"),
        ('user = "bob', 7, '"'),
        ("service(", 8, '"text"'),
        ("(fault", 6, '")"'),
        ("service() { fault", 17, '"}"'),
        ("latency > 5", 0, "service"),
        ("annotation", 10, "annotation[KEY]"),
        ("annotation.", 11, "a key"),
        ("annotation[k", 10, "]"),
        ("annotation.k CONTAINS 5", 22, '"text"'),
        ("annotation.k > true", 15, "a number"),
        ("fault )", 6, "the end"),
        ("ok @", 3, "AND"),
        ('service(id(size: "x"))', 11, "name:"),
        ('service(id(name: "x", name: "y"))', 22, "type:"),
        ('edge("a")', 8, '","'),
        ("rootcause.fault.service", 23, '"{"'),
        ("rootcause.json = 5", 17, "#[…]"),
        ("rootcause.json = #{}", 17, "#[…]"),
        ('rootcause.json = #[{"Servces": []}]', 17, "#[…]"),
        ("rootcause.json = #[", 18, "a JSON list"),
        ("group.name != 5", 11, '"="'),
        ("coverage > 0.5", 0, "fault"),
        ("service() { coverage > 0.5 }", 12, "index"),
        ("service() { annotation.k }", 12, "fault"),
        ("edge(id(), id()) { root }", 19, "remote"),
        ("rootcause.fault.exception { remote }", 28, "message"),
        ("service() { service() }", 12, "fault"),
    ],
)
def test_an_error_says_where_and_what_could_stand_there(text: str, position: int, expected: str) -> None:
    with pytest.raises(FilterError) as raised:
        parse(text)
    assert raised.value.position == position
    assert expected in raised.value.expected
    assert f"(at position {position})" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("responstime > 5", "responsetime"),
        ("ok AND faults", "fault"),
        ('http.ulr = "x"', "http.url"),
        ('user CONTAIN "x"', "CONTAINS"),
        ("rootcause.fault.servce { ok }", "rootcause.fault.service"),
        ("rootcause.fault.entity { coverge > 1 }", "coverage"),
        ("error = tru", "true"),
        ("NOT fault", '"!"'),
        ("fault && ok", "AND"),
        ("fault || ok", "OR"),
        ('user LIKE "x"', "CONTAINS"),
        ("xyz", ""),
    ],
)
def test_an_error_names_the_nearest_word(text: str, nearest: str) -> None:
    with pytest.raises(FilterError) as raised:
        parse(text)
    assert raised.value.nearest == nearest
    assert (f"did you mean {nearest}?" in str(raised.value)) == bool(nearest)


OPENINGS = {
    Scope.TRACE: "ok AND (",
    Scope.SERVICE: "service() {",
    Scope.EDGE: "edge(id(), id()) {",
    Scope.CAUSE_SERVICE: "rootcause.fault.service {",
    Scope.CAUSE_ENTITY: "rootcause.error.entity {",
    Scope.CAUSE_EXCEPTION: "rootcause.responsetime.exception {",
}
OPERATORS = {bool: grammar.BOOLEAN_OPERATORS, float: grammar.NUMBER_OPERATORS, str: grammar.STRING_OPERATORS}
VALUES = {bool: "true", float: "2.5", str: '"x"'}


def within(scope: Scope, term: str) -> str:
    return f"{OPENINGS[scope]} {term} {')' if scope is Scope.TRACE else '}'}"


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_stands_where_it_means_something(keyword: str) -> None:
    for scope in Scope:
        text = within(scope, keyword)
        if scope in KEYWORDS[keyword].scopes:
            compile_filter(parse(text))
            continue
        with pytest.raises(FilterError, match=f"{keyword} means nothing {scope.value.partition('(')[0]}") as raised:
            parse(text)
        assert raised.value.position == len(OPENINGS[scope]) + 1
        assert len(raised.value.expected) > 5


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_takes_the_operators_of_its_class(keyword: str) -> None:
    kind, scopes = KEYWORDS[keyword].kind, KEYWORDS[keyword].scopes
    for operator in (*grammar.NUMBER_OPERATORS, *sorted(grammar.WORD_OPERATORS)):
        text = within(min(scopes, key=list(Scope).index), f"{keyword} {operator} {VALUES[kind]}")
        if operator in OPERATORS[kind]:
            compile_filter(parse(text))
            continue
        with pytest.raises(FilterError) as raised:
            parse(text)
        assert set(OPERATORS[kind]) <= set(raised.value.expected)


def test_and_binds_closer_than_or_and_may_be_left_out() -> None:
    assert str(parse("ok OR fault !partial and user")) == "ok OR (fault AND !partial AND user)"
    assert str(parse("(ok or fault) !partial")) == "(ok OR fault) AND !partial"


def test_keywords_are_case_insensitive_and_keys_are_not() -> None:
    assert parse('ResponseTime > 2 AND HTTP.URL contains "a"') == parse('responsetime > 2 http.url CONTAINS "a"')
    assert parse("RootCause.Fault.Service { First }") == parse("rootcause.fault.service{first}")
    assert parse("annotation.Key") != parse("annotation.key")


@pytest.mark.parametrize("joint", [" ", " AND ", " OR "])
def test_the_number_of_conditions_is_bounded(joint: str) -> None:
    parse(joint.join(["ok"] * MAX_TERMS))
    with pytest.raises(FilterError, match="more than 50 conditions"):
        parse(joint.join(['service("a")'] * (MAX_TERMS + 1)))


def test_negations_are_levels_too() -> None:
    with pytest.raises(FilterError, match="more than 50 levels"):
        parse("".join("!" * 37 + "(" for _ in range(48)) + "ok" + ")" * 48)
