"""One row of the table of what is traced, and how it is applied: version, our module, patches undone when one fails.

Loaded at the start of every traced process, so it imports nothing but what the interpreter has loaded already.
"""

from __future__ import annotations

import sys

from fluoro import diagnostics

TYPE_CHECKING = False  # see above
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


class NotYet(Exception):
    """The module of ours that would patch is itself only being imported."""


# Modules of ours that have been executed to their end; the import system may not know it yet.
complete: set[str] = set()


class Target:
    """One row of the table: after `module` is imported, `patch` (a module of ours) is called for it.

    `name` is what FLUORO_DISABLE takes; rows of one library share it. Versions of `distribution` outside
    [`minimum`, `below`) are left alone; "" is no bound. `distribution` "" belongs to Python itself.

    A `light` one is of a module that many processes import and few use. So it is patched without setting up the recorder,
    and its patch imports nothing that costs: it only passes on spans that others began, or begins to work with the first
    call (`_first_use`).
    """

    __slots__ = ("below", "distribution", "light", "minimum", "module", "name", "patch")

    def __init__(
        self,
        name: str,
        module: str,
        patch: str,
        distribution: str = "",
        minimum: str = "",
        below: str = "",
        *,
        light: bool = False,
    ) -> None:
        self.name = name
        self.module = module
        self.patch = patch
        self.distribution = distribution
        self.minimum = minimum
        self.below = below
        self.light = light

    @property
    def key(self) -> str:
        """Its entry in `register`."""
        return self.module

    def apply(self, module: ModuleType) -> str:
        """Patch `module`; "patched", or why not."""
        return _apply(self, module)


def _apply(target: Target, module: ModuleType) -> str:
    from fluoro.instrument import _replaced

    refusal = _unsupported(target)
    if refusal:
        diagnostics.warn(f"version {target.name}", f"{target.name} is not traced: {refusal}", every_s=float("inf"))
        return refusal
    before = _replaced.patched_count()
    try:
        _complete_module(target.patch).patch(module)
    except BaseException:
        _replaced.undo_since(before)
        raise
    return "patched"


def _complete_module(name: str) -> Any:
    """A module of ours. NotYet while it is being imported: around us, or by a thread that waits for the application's
    module, which this thread has locked.
    """
    from importlib import import_module

    try:
        ours = import_module(name)
    except RuntimeError as error:
        if type(error).__name__ == "_DeadlockError" and name in sys.modules:
            raise NotYet from None
        raise
    if name not in complete and is_being_imported(ours):
        raise NotYet
    return ours


def _unsupported(target: Target) -> str:
    """Why this version cannot be patched, or ""."""
    if not target.distribution or not (target.minimum or target.below):
        return ""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version(target.distribution)
    except PackageNotFoundError:  # vendored or on a bare path: try
        return ""
    if target.minimum and release(found) < release(target.minimum):
        return f"{target.distribution} {found} is older than {target.minimum}"
    if target.below and release(found) >= release(target.below):
        return f"{target.distribution} {found} is newer than what was tested (below {target.below})"
    return ""


def release(version: str) -> tuple[int, ...]:
    """`1.26.0rc1` → (1, 26, 0)."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def is_being_imported(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
