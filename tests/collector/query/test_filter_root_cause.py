from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter_trees import root_causes
from fluoro_collector.query.filter import tree
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.query.filter.root_cause import PathError, matches, matches_path, pattern
from fluoro_collector.query.trace.root_cause import Cause, CauseService, Entity

WEB = CauseService(
    "web",
    "AWS::ECS::Container",
    "12",
    False,
    (Entity("web", False, 1.0), Entity("decode", False, 0.4), Entity("orders", True, 0.8131)),
)
ORDERS = CauseService(
    "orders", "AWS::DynamoDB", "", True, (Entity("orders", False, 0.8, (("Throttled", "quota hit"), ("IOError", ""))),)
)
CAUSE = Cause(True, (WEB, ORDERS))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('service { inferred and name="orders" and type="AWS::DynamoDB" }', True),
        ('service { inferred and name="web" }', False),
        ('service { first and name = "web" }', True),
        ('service { last and name = "web" }', False),
        ("service { index > 0 }", True),
        ("service { index > 1 }", False),
        ('service { account.id = "12" }', True),
        ('service { account.id != "12" }', False),  # an unknown account is no other account
        ("service { account.id and inferred }", False),
        ('service { type BEGINSWITH "AWS::" and !inferred }', True),
        ('entity { last and name = "orders" and remote }', True),
        ('entity { last and name = "decode" }', False),
        ('entity { first and !remote and name ENDSWITH "eb" }', True),
        ('entity { remote and coverage > 0.7 and name = "orders" }', True),
        ("entity { coverage > 0.9 and remote }", False),
        ("entity { coverage = 0.4 OR index >= 9 }", True),
        ('entity { name CONTAINS "xyz" }', False),
        ('exception { last and message = "quota hit" }', False),
        ('exception { first and message = "quota hit" }', True),
        ('exception { name = "IOError" }', True),
        ("exception { last and message }", False),  # without a message there is none
        ('exception { message != "other" }', True),
        ("exception { index = 1 }", True),
        ("service { inferred = false and inferred != true }", True),
        ("entity { remote != false and remote = true }", True),
        ("service { index }", True),
    ],
)
def test_a_block_speaks_of_one_thing_on_the_path(text: str, expected: bool) -> None:
    term = parse(f"rootcause.fault.{text}")
    assert isinstance(term, tree.RootCause)
    assert matches(term, (CAUSE,)) is expected
    assert not matches(term, ())
    assert matches(term, (Cause(False, ()), CAUSE)) is expected


PATH = {
    "ClientImpacting": True,
    "Services": [
        {"Name": "web", "EntityPath": [{"Name": "web"}, {"Remote": False}, {"Coverage": 0.813}]},
        {
            "Names": ["orders"],
            "Type": "AWS::DynamoDB",
            "AccountId": "",
            "Inferred": True,
            "EntityPath": [{"Exceptions": [{"Name": "Throttled", "Message": "quota hit"}, {}]}],
        },
    ],
}


def test_a_path_is_the_same_where_it_says_something() -> None:
    assert by_path([PATH])
    assert by_path([{}])
    assert by_path([{"Services": [{}, {}]}])
    assert by_path([{"Services": []}, PATH])
    assert not by_path([])


@pytest.mark.parametrize(
    "path",
    [
        {"ClientImpacting": False},
        {"Services": [{}]},
        {"Services": [{}, {}, {}]},
        {"Services": [{"Name": "orders"}, {}]},
        {"Services": [{}, {"Names": ["web"]}]},
        {"Services": [{"AccountId": "13"}, {}]},
        {"Services": [{"Inferred": True}, {}]},
        {"Services": [{"EntityPath": [{}]}, {}]},
        {"Services": [{"EntityPath": [{}, {}, {"Remote": False}]}, {}]},
        {"Services": [{"EntityPath": [{"Coverage": 0.999}, {}, {}]}, {}]},
        {"Services": [{}, {"EntityPath": [{"Exceptions": [{}]}]}]},
        {"Services": [{}, {"EntityPath": [{"Exceptions": [{}, {"Name": "x"}]}]}]},
    ],
)
def test_another_path_is_not_it(path: dict[str, object]) -> None:
    assert not by_path([path])


def by_path(paths: list[dict[str, object]]) -> bool:
    term = parse(f"rootcause.json = #{json.dumps(paths)}")
    assert isinstance(term, tree.RootCausePath)
    return matches_path(term, (CAUSE,))


@pytest.mark.parametrize(
    "text", ["{}", "[1]", '[{"Service": []}]', '[{"Services": [{"Name": 5}]}]', "[" * 900 + "]" * 900]
)
def test_json_that_is_no_list_of_paths_is_refused(text: str) -> None:
    with pytest.raises(PathError):
        pattern(text)


@given(root_causes(), st.booleans())
def test_any_block_has_an_answer(term: tree.RootCause, empty: bool) -> None:
    assert matches(term, () if empty else (CAUSE,)) in (True, False)
