"""Segments → the body of a native batch, whatever an application has put into them.

Annotations and metadata hold users' objects. Annotations are brought to their types and limits here and not where they
are written, which is the request's own time. A value that has no place in msgpack (an int over 64 bits, a lone surrogate,
a structure that contains itself, an object without a known form) is replaced in its own segment; the batch goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from fluoro.model import WIRE_VERSION, Annotation, Resource, Segment

_CHUNK = 128  # segments encoded at a stretch; the GIL is offered to the application in between
_MAX_DEPTH = 16
_MAX_REPR = 1_000
MAX_KEY = 500
MAX_VALUE = 1_000
_TYPES = frozenset({str, int, float, bool})


def _portable(value: object) -> str:
    """For a type that msgspec does not know."""
    try:
        return repr(value)[:_MAX_REPR]
    except Exception:  # noqa: BLE001  a hostile __repr__ costs its own value only
        return f"({type(value).__name__} that cannot be read)"


_encode = msgspec.msgpack.Encoder(enc_hook=_portable).encode


def encode_batch(
    resource: Resource, segments: Sequence[Segment], pause: Callable[[], object] = lambda: None
) -> tuple[bytes, int]:
    """The bytes of `Batch(WIRE_VERSION, resource, segments)` and how many segments had to be left out.

    `pause` is called between chunks. At most 65,535 segments.
    """
    parts: list[bytes] = []
    lost = 0
    for first in range(0, len(segments), _CHUNK):
        chunk = list(segments[first : first + _CHUNK])
        if first:
            pause()
        try:
            for segment in chunk:
                if segment.annotations:
                    _limit_annotations(segment)
            parts.append(_without_header(_encode(chunk), len(chunk)))
        except Exception:  # noqa: BLE001  whatever a user's object raises
            for segment in chunk:
                encoded = _encode_one(segment)
                if encoded:
                    parts.append(encoded)
                else:
                    lost += 1
    count = (len(segments) - lost).to_bytes(2, "big")
    return b"".join([b"\x93", _encode(WIRE_VERSION), _encode(resource), b"\xdc", count, *parts]), lost


def _limit_annotations(segment: Segment) -> None:
    for key, value in (segment.annotations or {}).items():
        kind = value.__class__
        if (
            kind not in _TYPES
            or (isinstance(value, str) and len(value) > MAX_VALUE)
            or key.__class__ is not str
            or len(key) > MAX_KEY
        ):
            break
    else:
        return
    segment.annotations = {
        _key(key)[:MAX_KEY]: _annotation(value) for key, value in (segment.annotations or {}).items()
    }


def _annotation(value: Any) -> Annotation:
    """A subclass (an enum, a numpy float) as its plain value, anything else as text."""
    for plain in (bool, int, float):
        if isinstance(value, plain):
            return plain(value)
    try:
        return str(value)[:MAX_VALUE]
    except Exception:  # noqa: BLE001  a hostile __str__ costs its own value only
        return f"({type(value).__name__} that cannot be read)"


def _without_header(array: bytes, length: int) -> bytes:
    """The elements of a msgpack array of up to 65,535."""
    return array[1 if length < 16 else 3 :]


def _encode_one(segment: Segment) -> bytes:
    try:
        return _encode(segment)
    except Exception:  # noqa: BLE001
        try:
            return _encode([_plain(getattr(segment, name), 0) for name in segment.__struct_fields__])
        except Exception:  # noqa: BLE001  counted by the caller
            return b""


def _plain(value: Any, depth: int) -> Any:
    """`value` with everything that msgpack cannot carry replaced."""
    if value is None or isinstance(value, (bool, float, bytes)):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(value)
    if depth == _MAX_DEPTH:
        return "…"
    if isinstance(value, msgspec.Struct):
        return [_plain(getattr(value, name), depth + 1) for name in value.__struct_fields__]
    if isinstance(value, dict):
        return {_plain(_key(key), depth + 1): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth + 1) for item in value]
    return _plain(_portable(value), depth)


def _key(key: object) -> str:
    return key if isinstance(key, str) else _portable(key)
