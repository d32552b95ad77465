"""Which anomalies belong together and which is the cause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro_collector.insights.merge import clients_of, links, reach, root_cause, together


def node(name: str) -> tuple[str, str]:
    return name, "client" if name == "client" else ""


def edges(text: str) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """ "a>b b>c" """
    return [(node(source), node(target)) for source, target in (each.split(">") for each in text.split())]


@pytest.mark.parametrize(
    ("calls", "faults", "cause"),
    [
        ("web>orders orders>db", {"web": 5, "orders": 5, "db": 5}, "db"),
        ("web>orders orders>db", {"web": 9, "orders": 5}, "orders"),
        ("web>orders", {"web": 1}, "web"),
        # Two callees: the deeper one, and of equals the one with more faults.
        ("web>a web>b b>c", {"web": 9, "a": 8, "b": 2, "c": 2}, "c"),
        ("web>a web>b", {"web": 9, "a": 2, "b": 8}, "b"),
        # A circle has no deepest member: the one that is reached last.
        ("client>a a>b b>c c>b", {"a": 3, "b": 2, "c": 2}, "c"),
        ("a>b b>a", {"a": 1, "b": 2}, "b"),
    ],
)
def test_the_cause_is_the_deepest_callee(calls: str, faults: dict[str, int], cause: str) -> None:
    assert root_cause({node(name): count for name, count in faults.items()}, edges(calls)) == node(cause)


def test_what_a_healthy_service_stands_between_is_apart() -> None:
    calls = edges("web>gate gate>orders orders>db")
    parts = together([node(name) for name in ("web", "orders", "db")], calls)
    assert sorted(map(sorted, parts)) == [[node("db"), node("orders")], [node("web")]]
    # ... unless one insight has held them together before.
    assert len(together([node("web"), node("orders")], calls, [{node("web"), node("orders")}])) == 1


def test_clients_that_reach_a_service() -> None:
    calls = [*edges("client>web web>orders other>orders"), (("admin", "client"), node("admin"))]
    assert clients_of(node("orders"), calls) == [(node("client"), node("web"))]


names = st.sampled_from("abcdefgh")


@given(st.dictionaries(names, st.integers(1, 9), min_size=1), st.lists(st.tuples(names, names), max_size=20))
def test_any_graph_has_one_cause_below_which_nothing_is_new(
    faults: dict[str, int], calls: list[tuple[str, str]]
) -> None:
    graph = [(node(source), node(target)) for source, target in calls]
    counts = {node(name): count for name, count in faults.items()}
    parts = together(counts, graph)
    assert sorted(each for part in parts for each in part) == sorted(counts)
    for part in parts:
        here = {each: counts[each] for each in part}
        cause = root_cause(here, graph)
        assert cause in part
        below = reach([cause], links(graph), here)
        assert all(cause in reach([other], links(graph), here) for other in below)
        # The order in which things are told does not matter.
        assert root_cause(dict(reversed(here.items())), graph[::-1]) == cause
