"""Values that applications give to OpenTelemetry's API → values that JSON can carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fluoro.otel.semantics import from_bytes

PLAIN = frozenset({str, bool, int, float})
_MAX_DEPTH = 16


def copied(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """A dict of our own, with values that JSON can carry. None values say nothing."""
    if not attributes:
        return {}
    return {
        str(key): value if value.__class__ in PLAIN else plain(value)
        for key, value in attributes.items()
        if value is not None
    }


def plain(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """A copy that JSON can carry: sequences as lists, mappings as dicts, bytes as `from_bytes`, anything else as text."""
    if value is None or value.__class__ in PLAIN:
        return value
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, (bytes, bytearray)):
        return from_bytes(bytes(value))
    if depth and isinstance(value, Mapping):
        return {str(key): plain(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, (Sequence, set, frozenset)):
        return [plain(item, depth - 1) for item in value]
    try:
        return str(value)
    except Exception:  # noqa: BLE001  a hostile __str__ must not reach the application
        return f"({type(value).__name__} that cannot be read)"
