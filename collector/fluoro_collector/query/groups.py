"""Groups: named filter expressions. A trace belongs to a group when it matches the group's expression as it is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from fluoro_collector.aws_names import arn
from fluoro_collector.store.configuration import Configuration

KIND = "group"  # of the documents in `store.configuration`
DEFAULT = "Default"  # the group of all traces; it is always there


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """`expression` "" matches every trace. Times are epoch seconds."""

    name: str
    arn: str
    expression: str = ""
    insights: bool = False
    notifications: bool = False
    tags: dict[str, str] = {}
    modified: float = 0.0


def every(documents: Mapping[str, dict[str, Any]]) -> list[Group]:
    """The groups of these documents and Default: Default first, then by name."""
    found = {name: msgspec.convert(document, Group) for name, document in sorted(documents.items())}
    first = found.pop(DEFAULT, None) or Group(name=DEFAULT, arn=arn(KIND, DEFAULT))
    return [first, *found.values()]


class Groups:
    """Thread-safe; what another collector changed shows after a few seconds. Blocks on the engine."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def all(self) -> list[Group]:
        """Default first, then by name."""
        return every(self._configuration.all(KIND).by_name)

    def find(self, *, name: str = "", arn: str = "") -> Group | None:
        """By name or ARN."""
        return next(
            (group for group in self.all() if (name and group.name == name) or (arn and group.arn == arn)), None
        )

    def __call__(self, of: str, value: str) -> str | None:
        """For the filter compiler: see `lookup`."""
        return lookup(self.all())(of, value)


def lookup(groups: Sequence[Group]) -> Callable[[str, str], str | None]:
    """("name" | "arn", value) → the group's expression, "" = every trace; None = there is no such group."""
    found = {("name", group.name): group.expression for group in groups}
    found |= {("arn", group.arn): group.expression for group in groups}
    return lambda of, value: found.get((of, value))
