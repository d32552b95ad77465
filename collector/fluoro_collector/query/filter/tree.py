"""The typed tree of a filter expression. `str(tree)` is an expression that parses to an equal tree."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Union

Value = Union[str, float, bool]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class And:
    """All of at least two parts."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " AND ".join(_inner(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """Any of at least two parts."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " OR ".join(_inner(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    part: Expression

    def __str__(self) -> str:
        return f"!{_inner(self.part)}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`keyword` in lower case. `operator` "" (and no value) asks whether there is a value, or that a boolean is true."""

    keyword: str
    operator: str = ""
    value: Value | None = None
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return _compared(self.keyword, self.operator, self.value)


@dataclass(frozen=True, slots=True)
class Annotation:
    """`operator` "" (and no value) asks whether the key is present. Keys are case-sensitive."""

    key: str
    operator: str = ""
    value: Value | None = None
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        name = f"annotation.{self.key}" if _PLAIN_KEY.fullmatch(self.key) else f"annotation[{_quoted(self.key)}]"
        return _compared(name, self.operator, self.value)


@dataclass(frozen=True, slots=True)
class Identity:
    """A node. None matches anything, "" only the empty value."""

    name: str | None = None
    type: str | None = None
    account: str | None = None

    def __str__(self) -> str:
        if self.type is None and self.account is None and self.name is not None:
            return _quoted(self.name)
        named = (("name", self.name), ("type", self.type), ("account.id", self.account))
        return f"id({', '.join(f'{key}: {_quoted(value)}' for key, value in named if value is not None)})"


@dataclass(frozen=True, slots=True)
class Service:
    """The trace passes through the node; with a block, some request of the node satisfies it."""

    node: Identity | None = None
    block: Expression | None = None
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"service({'' if self.node is None else self.node}){_braced(self.block)}"


@dataclass(frozen=True, slots=True)
class Edge:
    source: Identity
    target: Identity
    block: Expression | None = None
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"edge({self.source}, {self.target}){_braced(self.block)}"


@dataclass(frozen=True, slots=True)
class Group:
    """`of` is "name" or "arn"."""

    of: str
    value: str
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"group.{self.of} = {_quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class RootCause:
    kind: str
    subject: str
    block: Expression
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"rootcause.{self.kind}.{self.subject}{_braced(self.block)}"


@dataclass(frozen=True, slots=True)
class RootCausePath:
    """`rootcause.json`; `json` is the text of the list after "#"."""

    json: str
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"rootcause.json = #{self.json}"


Expression = Union[And, Or, Not, Comparison, Annotation, Service, Edge, Group, RootCause, RootCausePath]


def _inner(part: Expression) -> str:
    return f"({part})" if isinstance(part, (And, Or)) else str(part)


def _braced(block: Expression | None) -> str:
    return "" if block is None else f" {{ {block} }}"


def _compared(name: str, operator: str, value: Value | None) -> str:
    if not operator or value is None:
        return name
    if isinstance(value, bool):
        return f"{name} {operator} {'true' if value else 'false'}"
    return f"{name} {operator} {_quoted(value) if isinstance(value, str) else repr(float(value))}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
