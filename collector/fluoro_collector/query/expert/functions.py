"""The functions that an expert's SQL may call: what computes from its arguments, and nothing that reads anything else.

An allow list (`functions.txt`, `aggregates.txt`, in lower case), since the engine has some 1,900 functions and
each version brings more, among them ones that read files, call out, sleep, or tell about the host.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

COMBINATORS = ["if", "array", "map", "foreach", "distinct", "ordefault", "ornull", "state", "merge", "argmin", "argmax"]


@cache
def scalars() -> frozenset[str]:
    """Ordinary functions, and what operators are called in the engine's syntax tree."""
    return _names("functions.txt")


@cache
def aggregates() -> frozenset[str]:
    """Aggregate and window functions."""
    return _names("aggregates.txt")


def allowed(name: str) -> bool:
    """Whether the function `name` (any case) may be called; an aggregate also with combinators, "sumIf"."""
    name = name.lower()
    if name in scalars():
        return True
    while name not in aggregates():
        suffix = next((each for each in COMBINATORS if name.endswith(each)), "")
        if not suffix:
            return False
        name = name[: -len(suffix)]
    return True


def _names(file: str) -> frozenset[str]:
    return frozenset(resources.files(__package__).joinpath(file).read_text(encoding="utf-8").split())
