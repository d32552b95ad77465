"""Segments → the body of a native batch, whatever an application has put into them.

Annotations and metadata hold users' objects. Annotations are brought to their types and limits here and not where they
are written, which is the request's own time. A value that has no place in msgpack (an int over 64 bits, a lone surrogate,
a structure that contains itself, an object without a known form) is replaced in its own segment; the batch goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import msgspec

from fluoro.model import WIRE_VERSION, Annotation, Resource, Segment

_CHUNK = 256  # segments encoded at a stretch, about 0.2 ms; then the GIL is offered to the application
_MAX_DEPTH = 16
_MAX_REPR = 1_000
MAX_KEY = 500
MAX_VALUE = 1_000
_SMALL = min(MAX_KEY, MAX_VALUE)  # bytes: a segment that is no longer holds no string that is too long
_TEXT = frozenset({str})
_TYPES = frozenset({str, int, float, bool})


def portable(value: object) -> str:
    """For a type that msgspec does not know."""
    try:
        return repr(value)[:_MAX_REPR]
    except Exception:  # noqa: BLE001  a hostile __repr__ costs its own value only
        return f"({type(value).__name__} that cannot be read)"


_encode = msgspec.msgpack.Encoder(enc_hook=portable).encode


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
            encoded_chunk = list(map(_encode, chunk))
            annotated = [annotations for segment in chunk if (annotations := segment.annotations)]
            ordinary = not annotated or (
                _plain_types(annotated) and (max(map(len, encoded_chunk)) <= _SMALL or _short(annotated))
            )
        except Exception:  # noqa: BLE001  whatever a user's object raises
            ordinary = False
        if ordinary:
            parts += encoded_chunk
        else:
            for segment in chunk:
                encoded = _encode_one(segment)
                if encoded:
                    parts.append(encoded)
                else:
                    lost += 1
    count = (len(segments) - lost).to_bytes(2, "big")
    return b"".join([b"\x93", _encode(WIRE_VERSION), _encode(resource), b"\xdc", count, *parts]), lost


def _plain_types(annotated: list[dict[str, Annotation]]) -> bool:
    """Whether all keys and values are of the wire's types. All loops are in C: a third of what Python's would cost."""
    keys: set[object] = set().union(*annotated)
    values = chain.from_iterable(map(dict.values, annotated))
    return _TYPES.issuperset(map(type, values)) and _TEXT.issuperset(map(type, keys))


def _short(annotated: list[dict[str, Annotation]]) -> bool:
    """Whether all keys and strings are within their limits."""
    return not any(
        len(key) > MAX_KEY or (type(value) is str and len(value) > MAX_VALUE)
        for annotations in annotated
        for key, value in annotations.items()
    )


def limited(annotations: dict[str, Annotation]) -> dict[str, Annotation]:
    return {_key(key)[:MAX_KEY]: _annotation(value) for key, value in annotations.items()}


def _annotation(value: Any) -> Annotation:
    """A subclass (an enum, a numpy float) as its plain value, anything else as text."""
    for plain in (bool, int, float):
        if isinstance(value, plain):
            return plain(value)
    try:
        return str(value)[:MAX_VALUE]
    except Exception:  # noqa: BLE001  a hostile __str__ costs its own value only
        return f"({type(value).__name__} that cannot be read)"


def _encode_one(segment: Segment) -> bytes:
    try:
        if segment.annotations:
            segment.annotations = limited(segment.annotations)
        return _encode(segment)
    except Exception:  # noqa: BLE001
        try:
            return _encode([plain(getattr(segment, name), 0) for name in segment.__struct_fields__])
        except Exception:  # noqa: BLE001  counted by the caller
            return b""


def plain(value: Any, depth: int = 0) -> Any:
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
        return [plain(getattr(value, name), depth + 1) for name in value.__struct_fields__]
    if isinstance(value, dict):
        return {plain(_key(key), depth + 1): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth + 1) for item in value]
    return plain(portable(value), depth)


def _key(key: object) -> str:
    return key if isinstance(key, str) else portable(key)
