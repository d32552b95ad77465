"""`group.name` and `group.arn` replaced by the expressions of the groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Union

from . import tree
from .errors import FilterError
from .parse import MAX_TERMS, parse

# ("name" | "arn", value) → the group's filter expression ("" = every trace); None = there is no such group.
Groups = Callable[[str, str], Union[str, None]]

MAX_EXPANDED = 4 * MAX_TERMS  # conditions, with those of the groups
MAX_NESTED = 5  # groups within each other; each may have MAX_DEPTH levels
EVERYTHING = tree.And(())


def no_groups(of: str, value: str) -> str | None:  # noqa: ARG001 - the shape of `Groups`
    """For callers that keep no groups."""
    return None


def expanded(expression: tree.Expression, groups: Groups) -> tree.Expression:
    """The expression without groups. Raises FilterError, at the term, for an unknown group and for one within itself."""
    budget = [MAX_EXPANDED]

    def walk(part: tree.Expression, inside: tuple[tuple[str, str], ...], at: int) -> tree.Expression:
        if isinstance(part, (tree.And, tree.Or)):
            return type(part)(tuple(walk(each, inside, at) for each in part.parts))
        if isinstance(part, tree.Not):
            return tree.Not(walk(part.part, inside, at))
        budget[0] -= 1  # a group is one too: it may lead to others without any condition
        if budget[0] < 0:
            raise FilterError(f"more than {MAX_EXPANDED} conditions, with those of the groups", at)
        if not isinstance(part, tree.Group):
            return part
        # What is wrong in a group's own expression is told at the term of the expression that was asked.
        at = at if inside else part.position
        if len(inside) >= MAX_NESTED:
            raise FilterError(f"more than {MAX_NESTED} groups within each other", at)
        key = (part.of, part.value)
        if key in inside:
            raise FilterError(f"the group {part.value!r} is defined by itself", at)
        text = groups(part.of, part.value)
        if text is None:
            raise FilterError(f"there is no group with this {part.of}: {part.value!r}", at)
        if not text.strip():
            return EVERYTHING
        try:
            found = parse(text)
        except FilterError as error:
            raise FilterError(f"the expression of the group {part.value!r} is wrong: {error}", at) from None
        return walk(found, (*inside, key), at)

    return walk(expression, (), 0)
