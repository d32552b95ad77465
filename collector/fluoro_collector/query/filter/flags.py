"""Blocks that ask for flags alone: `traces` holds which combinations of flags the requests of each node had."""

from __future__ import annotations

from itertools import product

from . import tree
from .sql import wanted

FLAGS = frozenset({"ok", "error", "throttle", "fault"})


def flags_mask(block: tree.Expression | None) -> int | None:
    """The combinations of flags that satisfy the block, as bits error + 2 * throttle + 4 * fault; None: it asks for more."""
    if block is None:
        return 0xFF
    mask = 0
    for number, (fault, throttle, error) in enumerate(product((False, True), repeat=3)):
        flags = {"error": error, "throttle": throttle, "fault": fault, "ok": not (error or throttle or fault)}
        holds = _holds(block, flags)
        if holds is None:
            return None
        mask |= holds << number
    return mask


def _holds(block: tree.Expression, flags: dict[str, bool]) -> bool | None:
    if isinstance(block, (tree.And, tree.Or)):
        parts = [_holds(part, flags) for part in block.parts]
        if None in parts:
            return None
        return all(parts) if isinstance(block, tree.And) else any(parts)
    if isinstance(block, tree.Not):
        part = _holds(block.part, flags)
        return None if part is None else not part
    if isinstance(block, tree.Comparison) and block.keyword in FLAGS:
        return flags[block.keyword] == wanted(block)
    return None
