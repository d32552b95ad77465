"""What may stand in the free-form parts of a segment: exactly the values that JSON can carry, at a sane depth."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 64

_INT_MIN = -(1 << 63)
_INT_MAX = (1 << 64) - 1


class TooDeepError(ValueError):
    """A free-form value nests deeper than `MAX_DEPTH`: it could not be encoded again by everything downstream."""


def is_plain(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether `value` is None, a string, number, bool (integers of 64 bits), or a list or str-keyed dict of these, at
    most `depth` levels of them.
    """
    # `type() is` rather than isinstance: decoders produce the exact types, and this runs on every free-form value.
    kind = type(value)
    if kind is str or kind is bool or kind is float or value is None:
        return True
    if kind is int:
        return bool(_INT_MIN <= value <= _INT_MAX)
    if depth == 0:
        return False
    if kind is dict:
        return all(type(key) is str and is_plain(item, depth - 1) for key, item in value.items())
    if kind is list:
        return all(is_plain(item, depth - 1) for item in value)
    return False


def count_values(value: Any) -> int:
    """How many values a plain `value` is made of, itself included."""
    if type(value) is dict:
        return 1 + sum(map(count_values, value.values()))
    if type(value) is list:
        return 1 + sum(map(count_values, value))
    return 1


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """`value`, which came from a JSON decoder, with integers of more than 64 bits as floats. Raises TooDeepError."""
    kind = type(value)
    if kind is int and not _INT_MIN <= value <= _INT_MAX:
        try:
            return float(value)
        except OverflowError:
            return str(value)
    if kind is dict or kind is list:
        if depth == 0:
            raise TooDeepError(f"nested more than {MAX_DEPTH} levels deep")
        if kind is dict:
            return {key: plain(item, depth - 1) for key, item in value.items()}
        return [plain(item, depth - 1) for item in value]
    return value
