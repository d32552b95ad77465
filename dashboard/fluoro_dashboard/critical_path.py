"""Which parts of a trace its duration is made of. Pure."""

from __future__ import annotations

from collections.abc import Sequence

Interval = tuple[float, float]


def critical_path(parents: Sequence[int], starts: Sequence[float], durations: Sequence[float]) -> list[list[Interval]]:
    """Per segment the intervals (start, end) in which it, and none of its children, holds up the end of its root.

    `parents` are indexes into the same sequences, -1 for a root. The walk goes back from the end of the root that ends
    last: the child that finishes last before the cursor is on the path, clamped to its parent; the cursor moves to that
    child's start, and what no child covers belongs to the segment itself. Work that outlives its parent (asynchronous)
    counts only as far as the parent waited. Iterative, since traces may be deeper than Python's stack.
    """
    size = len(parents)
    path: list[list[Interval]] = [[] for _ in range(size)]
    children: list[list[int]] = [[] for _ in range(size)]
    ends = [start + duration for start, duration in zip(starts, durations, strict=True)]
    roots = []
    for index, parent in enumerate(parents):
        if 0 <= parent < size:
            children[parent].append(index)
        else:
            roots.append(index)
    if not roots:
        return path
    root = max(roots, key=lambda index: (ends[index], -index))
    todo = [(root, starts[root], ends[root])]
    while todo:
        index, low, high = todo.pop()
        cursor = high
        for child in sorted(children[index], key=lambda child: ends[child], reverse=True):
            begin, end = max(starts[child], low), min(ends[child], cursor)
            if end <= begin:
                continue
            if end < cursor:
                path[index].append((end, cursor))
            todo.append((child, begin, end))
            cursor = begin
        if cursor > low:
            path[index].append((low, cursor))
        path[index].reverse()
    return path
