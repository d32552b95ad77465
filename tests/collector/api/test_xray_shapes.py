"""The one place where input is checked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro_collector.api.xray.inputs import INPUTS
from fluoro_collector.api.xray.request import XRayError
from fluoro_collector.api.xray.shapes import Flag, Items, Members, Pairs, Real, Shape, Text, Time, Whole, check

RULE = Members({"Name": Text(1, 5), "Rate": Real(0, 1)}, ("Name",))


@pytest.mark.parametrize(
    ("shape", "value", "kept"),
    [
        (Members({"A": Text()}), {"A": "x", "B": 1, "C": None}, {"A": "x"}),
        (Members({"A": Text()}), {"A": None}, {}),
        (Members({"A": Text()}, misspelt={"a": "A"}), {"a": "x"}, {"A": "x"}),
        (Members({"A": Text()}, misspelt={"a": "A"}), {"a": "x", "A": "y"}, {"A": "y"}),
        (Items(RULE), [{"Name": "a", "Other": 1}], [{"Name": "a"}]),
        (Whole(), 5.0, 5),
        (Real(), 5, 5),
        (Time(), 1.5, 1.5),
        (Pairs(Text(1), Text(), 1), {"a": ""}, {"a": ""}),
        (Text(choices=("a", "b")), "b", "b"),
        (Flag(), False, False),
    ],
)
def test_what_is_kept(shape: Shape, value: Any, kept: Any) -> None:
    assert check(value, shape, "X") == kept


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [
        (RULE, [], "X must be an object"),
        (RULE, {}, "X.Name is required"),
        (RULE, {"Name": None}, "X.Name is required"),
        (RULE, {"Name": ""}, "X.Name has 0 characters; at least 1 are needed"),
        (RULE, {"Name": "abcdef"}, "X.Name has 6 characters; at most 5 are allowed"),
        (RULE, {"Name": 5}, "X.Name must be a string"),
        (RULE, {"Name": "a", "Rate": 1.5}, "X.Rate must be at most 1"),
        (RULE, {"Name": "a", "Rate": -1}, "X.Rate must be at least 0"),
        (RULE, {"Name": "a", "Rate": True}, "X.Rate must be a number"),
        (RULE, {"Name": "a", "Rate": float("inf")}, "X.Rate must be a number"),
        (RULE, {"Name": "a", "Rate": float("nan")}, "X.Rate must be a number"),
        (RULE, {"Name": "a", "Rate": 10**400}, "X.Rate must be a number"),
        (Items(RULE), {}, "X must be a list"),
        (Items(RULE), [{"Name": "a"}, {}], "X[1].Name is required"),
        (Items(RULE, 1), [], "X has 0 members; at least 1 are needed"),
        (Items(Text(), 0, 1), ["a", "b"], "X has 2 members; at most 1 are allowed"),
        (Pairs(Text(1), Text(), 1), [], "X must be an object"),
        (Pairs(Text(1), Text(), 1), {"a": "b", "c": "d"}, "X has 2 members; at most 1 are allowed"),
        (Pairs(Text(1), Text(), 1), {"": "b"}, "a key of X has 0 characters; at least 1 are needed"),
        (Pairs(Text(), Text(), 1), {"a": 1}, "X.a must be a string"),
        (Text(pattern="[ab]+"), "abc", "X must match [ab]+"),
        (Text(choices=("a", "b")), "c", "X must be one of a, b"),
        (Flag(), 1, "X must be true or false"),
        (Whole(), 1.5, "X must be a whole number"),
        (Whole(), False, "X must be a whole number"),
        (Whole(), 1 << 31, "X is out of range"),
        (Time(), "now", "X must be a time in epoch seconds"),
        (Time(), -(10**400), "X must be a time in epoch seconds"),
        (Members({"A": Text(), "B": Text()}, union=True), {}, "X must have exactly one of A, B"),
        (Members({"A": Text(), "B": Text()}, union=True), {"A": "a", "B": "b"}, "X must have exactly one of A, B"),
    ],
)
def test_what_is_refused(shape: Shape, value: Any, message: str) -> None:
    with pytest.raises(XRayError) as raised:
        check(value, shape, "X")
    assert (raised.value.code, raised.value.message) == ("InvalidRequestException", message)


def test_a_long_integer_is_wider() -> None:
    assert check(1 << 31, Whole(bits=64), "X") == 1 << 31


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


def near(shape: Shape) -> st.SearchStrategy[Any]:
    """Values that mostly have the shape."""
    if isinstance(shape, Members):
        return JSON | st.fixed_dictionaries({}, optional={name: near(inner) for name, inner in shape.members.items()})
    if isinstance(shape, Items):
        return JSON | st.lists(near(shape.member), max_size=3)
    return JSON | st.sampled_from(["NONE", "XRay", "a" * 24, 1, 0.5, True])


@given(st.data())
def test_any_input_is_taken_or_refused_by_name(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(INPUTS)))
    value = data.draw(near(INPUTS[name]))
    refused = None
    try:
        kept = check(value, INPUTS[name])
    except XRayError as error:
        refused = error
    if refused is None:
        assert kept.keys() <= INPUTS[name].members.keys()
        assert check(kept, INPUTS[name]) == kept
    else:
        assert refused.code == "InvalidRequestException"
        assert len(refused.message) < 500
