"""What users put into metadata, as JSON can carry it."""

from __future__ import annotations

from typing import Any

_MAX_DEPTH = 32
_PLAIN = (str, int, float, bool, type(None))


def metadata_to_dict(obj: Any) -> Any:
    """Mappings and iterables at any depth; of an object its public attributes, of a class its name. What contains itself
    or cannot be read is {} there.
    """
    return _converted(obj, ())


def _converted(value: Any, inside: tuple[int, ...]) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if id(value) in inside or len(inside) == _MAX_DEPTH:
        return {}
    inside = (*inside, id(value))
    try:
        if isinstance(value, dict):
            return {key: _converted(item, inside) for key, item in value.items()}
        if isinstance(value, type):
            return str(value)
        if hasattr(value, "_ast"):  # what an ORM's expression is made of
            return _converted(value._ast(), inside)  # noqa: SLF001
        if hasattr(value, "__iter__"):
            return [_converted(item, inside) for item in value]
        if hasattr(value, "__dict__"):
            return {
                key: _converted(item, inside)
                for key, item in vars(value).items()
                if not key.startswith("_") and not callable(item)
            }
    except Exception:  # noqa: BLE001  what a user's object raises costs itself only
        return {}
    return value
