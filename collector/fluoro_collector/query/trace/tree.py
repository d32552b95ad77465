"""Rows of a trace in the order of their tree. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Tree(NamedTuple):
    """Depth first, siblings by start. `order[i]` is the position of the i-th row in what was given; `parents[i]` is an index
    into the same order, -1 for a root and for an orphan, always smaller than i.
    """

    order: list[int]
    parents: list[int]
    depths: list[int]


def depth_first(ids: Sequence[int], parent_ids: Sequence[int]) -> Tree:
    """The tree of rows that are sorted by start. Orphans are roots; of a cycle the earliest member is one."""
    places = {id_: place for place, id_ in enumerate(ids)}
    children: dict[int, list[int]] = {}
    roots: list[int] = []
    for place, (id_, parent_id) in enumerate(zip(ids, parent_ids, strict=True)):
        if parent_id in places and parent_id != id_:
            children.setdefault(parent_id, []).append(place)
        else:
            roots.append(place)
    tree = Tree([], [], [])
    seen = bytearray(len(ids))
    for root in (*roots, *range(len(ids))):  # only a cycle is not reached from the roots
        if not seen[root]:
            _walk(root, ids, children, seen, tree)
    return tree


def _walk(root: int, ids: Sequence[int], children: dict[int, list[int]], seen: bytearray, tree: Tree) -> None:
    pending = [(root, -1, 0)]
    while pending:
        place, parent, depth = pending.pop()
        if seen[place]:
            continue
        seen[place] = 1
        index = len(tree.order)
        tree.order.append(place)
        tree.parents.append(parent)
        tree.depths.append(depth)
        pending += [(child, index, depth + 1) for child in reversed(children.get(ids[place], ()))]
