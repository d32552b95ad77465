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


def test_groups_that_multiply_are_refused_at_once() -> None:
    doubling = {f"g{n}": " OR ".join([f'group.name = "g{n - 1}"'] * 50) for n in range(1, 5)} | {"g0": ""}
    with pytest.raises(FilterError, match="more than 200 conditions"):
        expanded(parse('group.name = "g4"'), lambda _, name: doubling[name])


def test_groups_lie_at_most_five_deep_within_each_other() -> None:
    chain = {f"g{n}": "!(" * 20 + f'group.name = "g{n - 1}"' + ")" * 20 for n in range(1, 30)} | {"g0": "ok"}
    compile_filter(parse('group.name = "g4"'), lambda _, name: chain[name])
    with pytest.raises(FilterError, match="more than 5 groups"):
        expanded(parse('group.name = "g29"'), lambda _, name: chain[name])


def test_conditions_on_root_causes_are_few_and_equal_ones_are_one() -> None:
    same = " OR ".join(["rootcause.fault.service { inferred }"] * 20)
    assert list(compile_filter(parse(same)).causes) == ["causes0"]
    many = " OR ".join(f"rootcause.fault.service {{ index > {n} }}" for n in range(6))
    with pytest.raises(FilterError, match="more than 5 different conditions on root causes"):
        compile_filter(parse(many))
