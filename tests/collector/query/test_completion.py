"""The filter box: every suggestion, put in its place, begins an expression that parses."""

from __future__ import annotations

import pytest

from fluoro.model import Http, Kind, Resource, Segment
from fluoro_collector.query.completion.suggestions import MAX_TEXT, Completion, completions
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND, empty

START, END = float(BASE), float(BASE + 600)


@pytest.fixture(scope="module")
def stored(opened: Store) -> Store:
    segments = []
    for number in range(3):
        at = (BASE + number) * SECOND
        annotations: dict[str, str | float | bool] = {"plan": 'the "gold\\" one', "cart size": 2, "tier": number}
        segment = Segment(
            (number + 1).to_bytes(16, "big"), 1, 0, "Shop", at, at + 9, Kind.SERVER, annotations=annotations
        )
        segment.http = Http("GET", "http://shop/", 404 if number else 200)
        segments.append(segment)
    empty(opened).insert([(Resource(service_name="Shop"), segments)])
    rollup = Rollup(opened.engine)
    rollup.touched([BASE])
    rollup.run_once()
    return opened


def offered(store: Store, text: str, kinds: tuple[str, ...] = ("value", "key")) -> list[tuple[str, str, int | None]]:
    """(the whole expression after choosing it, shown text, traces)."""
    found = completions(store.engine, text, len(text), START, END, ["Default", 'Del"ta']).completions
    return [
        (text[: each.start] + each.insert + text[each.end :], each.text, each.traces)
        for each in found
        if each.kind in kinds
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http.status = ", [("http.status = 404", "404", 2), ("http.status = 200", "200", 1)]),
        ("http.status != 2", [("http.status != 200", "200", 1)]),
        ("http.method = ", [('http.method = "GET"', "GET", 3)]),
        ('service("s', [('service("Shop"', "Shop", 3)]),
        ("annotation.pl", [("annotation.plan", "plan", 3)]),
        ("annotation.cart", [('annotation["cart size"]', "cart size", 3)]),
        ('ok AND annotation["ca', [('ok AND annotation["cart size"]', "cart size", 3)]),
        ("annotation.plan = ", [('annotation.plan = "the \\"gold\\\\\\" one"', 'the "gold\\" one', 3)]),
        ('annotation.plan = "the \\"G', [('annotation.plan = "the \\"gold\\\\\\" one"', 'the "gold\\" one', 3)]),
        (
            "annotation.tier > 1 AND annotation.tier = ",
            [(f"annotation.tier > 1 AND annotation.tier = {n}", str(n), 1) for n in range(3)],
        ),
        ('group.name = "del', [('group.name = "Del\\"ta"', 'Del"ta', None)]),
        ('user = "', []),
        ('annotation.nothing = "', []),
    ],
)
def test_values_and_keys(stored: Store, text: str, expected: list[tuple[str, str, int | None]]) -> None:
    found = offered(stored, text)
    assert sorted(found, key=str) == sorted(expected, key=str)
    for whole, _, _ in found:
        parse(whole + ("" if not whole.startswith("service") else ")"))


def test_words_come_from_the_grammar(stored: Store) -> None:
    assert ("fault", "fault", None) in offered(stored, "fau", ("keyword",))
    assert ("fault AND", "AND", None) in offered(stored, "fault ", ("operator",))
    assert [each[1] for each in offered(stored, "responsetime > ", ("number",))] == ["a number"]


def test_the_middle_of_an_expression(stored: Store) -> None:
    text = 'http.method = "PO" AND fault'
    found = completions(stored.engine, text, len('http.method = "'), START, END).completions
    assert found == [Completion(kind="value", text="GET", insert='"GET"', start=14, end=18, detail="", traces=3)]


def test_nothing_is_offered_for_what_is_wrong_or_too_long(stored: Store) -> None:
    assert completions(stored.engine, "AND AND ", 8, START, END).completions == []
    assert completions(stored.engine, "a" * (MAX_TEXT + 1), 5, START, END).completions == []
    assert completions(stored.engine, "http.status = ", 10**9, START + 86_400, END + 86_400).completions != []
    assert not offered(stored, "http.status = 9")
