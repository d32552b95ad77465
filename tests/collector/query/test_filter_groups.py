from __future__ import annotations

import pytest

from fluoro_collector.query.filter.compile import compile_filter
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.filter.groups import expanded
from fluoro_collector.query.filter.parse import parse

GROUPS = {
    "slow": "responsetime > 5",
    "bad": 'fault OR group.name = "slow"',
    "all": "",
    "wrong": "latency > 5",
    "loop": 'ok AND !(group.name = "round")',
    "round": 'group.name = "loop"',
    "lost": 'group.name = "gone"',
    "many": " ".join(["ok"] * 50),
}


def groups(of: str, value: str) -> str | None:
    return GROUPS.get(value.rpartition("/")[2] if of == "arn" else value)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('group.name = "slow"', "responsetime > 5"),
        (
            'user = "bob" AND !(group.arn = "arn:aws:xray:r:1:group/bad")',
            'user = "bob" AND !(fault OR responsetime > 5)',
        ),
        ("ok", "ok"),
    ],
)
def test_a_group_is_its_expression(text: str, same: str) -> None:
    found, wanted = compile_filter(parse(text), groups), compile_filter(parse(same))
    assert (found.condition, found.params) == (wanted.condition, wanted.params)


def test_the_group_of_everything_asks_nothing() -> None:
    assert compile_filter(parse('group.name = "all"'), groups).condition == "1"
    assert compile_filter(parse('!group.name = "all"'), groups).condition == "(NOT 1)"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "there is no group with this name"),
        ("lost", "there is no group with this name"),
        ("wrong", "is wrong: unknown keyword 'latency'"),
        ("loop", "is defined by itself"),
        ("round", "is defined by itself"),
    ],
)
def test_what_is_wrong_with_a_group_is_told_where_it_is_asked(name: str, message: str) -> None:
    text = f'ok AND group.name = "{name}"'
    with pytest.raises(FilterError, match=message) as raised:
        expanded(parse(text), groups)
    assert raised.value.position == len("ok AND ")


def test_groups_cannot_multiply_the_conditions() -> None:
    text = " OR ".join(['group.name = "many"'] * 5)
    with pytest.raises(FilterError, match="more than 200 conditions"):
        expanded(parse(text), groups)


def test_without_groups_there_is_none() -> None:
    with pytest.raises(FilterError, match="no group"):
        compile_filter(parse('group.name = "slow"'))
