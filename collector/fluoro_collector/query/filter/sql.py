"""Pieces of SQL that the conditions share: parameters, and comparisons with them. Input is only ever a parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import grammar, tree


@dataclass
class Parameters:
    """Typed parameters of a statement, numbered in the order in which they are added."""

    values: dict[str, Any] = field(default_factory=dict)

    def add(self, value: Any, kind: str) -> str:
        """The placeholder of a new parameter of ClickHouse's type `kind`."""
        name = f"filter{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"


_TEXT: dict[str, Callable[[str, str], str]] = {
    "=": lambda found, wanted: f"{found} = {wanted}",
    "!=": lambda found, wanted: f"{found} != {wanted}",
    "CONTAINS": lambda found, wanted: f"position({found}, {wanted}) > 0",
    "BEGINSWITH": lambda found, wanted: f"startsWith({found}, {wanted})",
    "ENDSWITH": lambda found, wanted: f"endsWith({found}, {wanted})",
}
_NUMBER = {operator: operator for operator in grammar.NUMBER_OPERATORS}


def text_test(found: str, operator: str, operand: str) -> str:
    """Condition on the text expression `found`; `operand` is a placeholder."""
    return _TEXT[operator](found, operand)


def number_test(found: str, operator: str, operand: str) -> str:
    return f"{found} {_NUMBER[operator]} {operand}"


def text_condition(found: str, comparison: tree.Comparison, parameters: Parameters) -> str:
    """There is a text, and it is as asked. The operator "" asks only whether there is one."""
    if not comparison.operator:
        return f"({found} != '')"
    operand = parameters.add(comparison.value, "String")
    return f"({found} != '' AND {text_test(found, comparison.operator, operand)})"


def number_condition(known: str, found: str, comparison: tree.Comparison, parameters: Parameters) -> str:
    """`known` says whether there is a number."""
    if not comparison.operator:
        return f"({known})"
    operand = parameters.add(comparison.value, "Float64")
    return f"({known} AND {number_test(found, comparison.operator, operand)})"


def wanted(comparison: tree.Comparison) -> bool:
    """What a boolean keyword is asked to be."""
    return not comparison.operator or (comparison.operator == "=") == bool(comparison.value)


def joined(parts: list[str], *, every: bool) -> str:
    """Conditions with AND (none: true) or OR (none: false)."""
    if not parts:
        return "1" if every else "0"
    return parts[0] if len(parts) == 1 else f"({(' AND ' if every else ' OR ').join(parts)})"
