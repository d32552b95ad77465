"""Filter expressions (X-Ray's language) that the dashboard writes by itself: for nodes, edges, outcomes and brushes."""

from __future__ import annotations

import re

_BRUSH = re.compile(r"(?:\s+AND\s+)?duration >= [0-9.e+-]+ AND duration <= [0-9.e+-]+$")


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def selector(name: str, type_: str) -> str:
    """A node as an argument of `service()` or `edge()`: a bare name for our own services, name and type for all else."""
    if not type_:
        return quote(name)
    return f"id(name: {quote(name)}, type: {quote(type_)})"


_ONLY = {"error": "error AND !throttle AND !fault", "throttle": "throttle AND !fault"}
"""The map counts a request once, as the worst that it was; a throttled one carries X-Ray's error flag too."""


def node(name: str, type_: str, outcome: str = "") -> str:
    """Traces through a node; with `outcome` (ok, error, throttle, fault) those with a request that the map counts so."""
    return f"service({selector(name, type_)})" + _block(outcome)


def clients(outcome: str = "") -> str:
    """Traces that came in from outside, whatever service they met first."""
    return 'service(id(type: "client"))' + _block(outcome)


def edge(source: tuple[str, str], target: tuple[str, str], outcome: str = "") -> str:
    """Traces with a call from one node (name, type) to the other; with `outcome` those with a call that the map counts so."""
    return f"edge({selector(*source)}, {selector(*target)})" + _block(outcome)


def _block(outcome: str) -> str:
    return f" {{ {_ONLY.get(outcome, outcome)} }}" if outcome else ""


def brushed(expression: str, low: float, high: float) -> str:
    """`expression` narrowed to durations in [low, high] seconds; an earlier brush at its end is replaced."""
    base = unbrushed(expression)
    clause = f"duration >= {low:.6g} AND duration <= {high:.6g}"
    if not base:
        return clause
    if re.search(r"\bOR\b", base, re.IGNORECASE) and not _is_group(base):
        base = f"({base})"
    return f"{base} AND {clause}"


def unbrushed(expression: str) -> str:
    return _BRUSH.sub("", expression.strip()).strip()


def is_brushed(expression: str) -> bool:
    return bool(_BRUSH.search(expression.strip()))


def is_trace_id(text: str) -> bool:
    """X-Ray's form `1-5f84c7a1-…`: X-Ray's console takes one in the filter box as a look-up."""
    return bool(re.fullmatch(r"1-[0-9a-f]{8}-[0-9a-f]{24}", text))


def _is_group(text: str) -> bool:
    """Whether one pair of parentheses holds the whole text. Parentheses within strings only make the answer no."""
    depth = 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return index == len(text) - 1 and letter == ")"
    return False
