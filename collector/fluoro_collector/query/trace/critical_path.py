"""Which parts of a trace its duration is made of. Pure."""

from __future__ import annotations

from collections.abc import Sequence

Interval = tuple[int, int]


def critical_path(parents: Sequence[int], starts: Sequence[int], ends: Sequence[int]) -> dict[int, list[Interval]]:
    """Index of a segment → the intervals in which it, and none of its children, holds up the end of its root.

    Only segments that do; intervals are ascending, and together they are the time of the root that ends last. `parents`
    are indexes into the same sequences, -1 for a root. The walk goes back from the end of that root: the child that ends
    last before the cursor is on the path, as far as its parent was waiting; the cursor moves to where that child began,
    and what no child covers is the segment's own. Iterative, since traces may be deeper than Python's stack.
    """
    path: dict[int, list[Interval]] = {}
    children: dict[int, list[int]] = {}
    roots = []
    for index, parent in enumerate(parents):
        if parent >= 0:
            children.setdefault(parent, []).append(index)
        else:
            roots.append(index)
    if not roots:
        return path
    root = max(roots, key=lambda index: (ends[index], -index))
    todo = [(root, starts[root], ends[root])]
    while todo:
        index, low, high = todo.pop()
        own: list[Interval] = []
        cursor = high
        for child in sorted(children.get(index, ()), key=lambda child: ends[child], reverse=True):
            begin, end = max(starts[child], low), min(ends[child], cursor)
            if end <= begin:
                continue
            if end < cursor:
                own.append((end, cursor))
            todo.append((child, begin, end))
            cursor = begin
        if cursor > low:
            own.append((low, cursor))
        if own:
            path[index] = own[::-1]
    return path
