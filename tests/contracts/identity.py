"""Whether patched places hold the very same objects: a wrapt proxy is equal to what it wraps."""

from __future__ import annotations

from collections.abc import Iterable


def same(one: Iterable[object], other: Iterable[object]) -> bool:
    """Whether both hold the same objects in the same order."""
    return all(a is b for a, b in zip(one, other, strict=True))
