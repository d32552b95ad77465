"""What an input member may hold, and the one place where input is checked against it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from .request import invalid

_SHOWN = 60  # characters of a name in a message
_LARGEST = sys.float_info.max  # JSON's whole numbers have no end, and become floats


@dataclass(frozen=True, slots=True)
class Text:
    """A string of `low` to `high` characters (None: no bound) that matches `pattern` as a whole or is one of `choices`."""

    low: int = 0
    high: int | None = None
    pattern: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number; `bits` is the width of the model's type."""

    low: int | None = None
    high: int | None = None
    bits: int = 32


@dataclass(frozen=True, slots=True)
class Real:
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    pass


@dataclass(frozen=True, slots=True)
class Time:
    """Epoch seconds."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list of `low` to `high` members."""

    member: Shape
    low: int = 0
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """A map."""

    key: Text
    value: Text
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Members:
    """An object. Members that are not named are dropped, as X-Ray does. With `union` it has exactly one member.

    `misspelt`: what some clients write → the member that they mean.
    """

    members: Mapping[str, Shape] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    union: bool = False
    misspelt: Mapping[str, str] = field(default_factory=dict)


Shape = Union[Text, Whole, Real, Flag, Time, Items, Pairs, Members]


def check(value: Any, shape: Shape, name: str = "") -> Any:
    """`value` with only the members that `shape` has, null ones left out. Raises XRayError naming the member."""
    if isinstance(shape, Members):
        return _members(value, shape, name)
    if isinstance(shape, Items):
        if not isinstance(value, list):
            raise invalid(f"{name} must be a list")
        _count(len(value), shape.low, shape.high, name)
        return [check(item, shape.member, f"{name}[{index}]") for index, item in enumerate(value)]
    if isinstance(shape, Pairs):
        if not isinstance(value, dict):
            raise invalid(f"{name} must be an object")
        _count(len(value), 0, shape.high, name)
        for key, item in value.items():
            _text(key, shape.key, f"a key of {name}")
            _text(item, shape.value, f"{name}.{key[:_SHOWN]}")
        return value
    if isinstance(shape, Text):
        return _text(value, shape, name)
    if isinstance(shape, Flag):
        if not isinstance(value, bool):
            raise invalid(f"{name} must be true or false")
        return value
    return _number(value, shape, name)


def _members(value: Any, shape: Members, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"{name or 'the body'} must be an object")
    prefix = f"{name}." if name else ""
    for wrong, right in shape.misspelt.items():
        if wrong in value:
            value = {right: value[wrong], **value}
    found = {
        member: check(value[member], inner, prefix + member)
        for member, inner in shape.members.items()
        if value.get(member) is not None
    }
    for member in shape.required:
        if member not in found:
            raise invalid(f"{prefix}{member} is required")
    if shape.union and len(found) != 1:
        raise invalid(f"{name} must have exactly one of {', '.join(shape.members)}")
    return found


def _count(count: int, low: int, high: int | None, name: str) -> None:
    if high is not None and count > high:
        raise invalid(f"{name} has {count} members; at most {high} are allowed")
    if count < low:
        raise invalid(f"{name} has {count} members; at least {low} are needed")


def _text(value: Any, shape: Text, name: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string")
    if shape.high is not None and len(value) > shape.high:
        raise invalid(f"{name} has {len(value)} characters; at most {shape.high} are allowed")
    if len(value) < shape.low:
        raise invalid(f"{name} has {len(value)} characters; at least {shape.low} are needed")
    if shape.choices and value not in shape.choices:
        raise invalid(f"{name} must be one of {', '.join(shape.choices)}")
    if shape.pattern and not re.fullmatch(shape.pattern, value):
        raise invalid(f"{name} must match {shape.pattern}")
    return value


def _number(value: Any, shape: Whole | Real | Time, name: str) -> Any:
    if isinstance(shape, Whole):
        # JSON does not tell 1 from 1.0, and some clients write the latter.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(f"{name} must be a whole number")
        if not -(1 << (shape.bits - 1)) <= value < 1 << (shape.bits - 1):
            raise invalid(f"{name} is out of range")
    elif isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
        raise invalid(f"{name} must be {'a time in epoch seconds' if isinstance(shape, Time) else 'a number'}")
    if not isinstance(shape, Time):
        if shape.high is not None and value > shape.high:
            raise invalid(f"{name} must be at most {shape.high}")
        if shape.low is not None and value < shape.low:
            raise invalid(f"{name} must be at least {shape.low}")
    return value
