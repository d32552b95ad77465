"""Segments → the body of a native batch, whatever an application has put into them.

Annotations and metadata hold users' objects. Annotations are brought to their types and limits here and not where they
are written, which is the request's own time. A value that has no place in msgpack (an int over 64 bits, a lone surrogate,
a structure that contains itself, an object without a known form) is replaced in its own segment; the batch goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter
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
_JSON = frozenset({str, int, float, bool, type(None)})
_name, _operation = attrgetter("name"), attrgetter("operation")
_annotations, _metadata, _aws = attrgetter("annotations"), attrgetter("metadata"), attrgetter("aws")

# The collector's limits. What is longer is cut, what is larger goes without its largest parts: all of it would be refused.
MAX_NAME = 200
MAX_TEXT = 4_096
MAX_SEGMENT_BYTES = 1 << 20
_LARGE = ("metadata", "events", "links", "sql", "aws", "annotations", "cause", "http")
_IDS = 3  # of a segment's first fields; they are ours
_FREE = frozenset({*_LARGE, "precursor_ids"})


def portable(value: object) -> str:
    """For a type that msgspec does not know."""
    try:
        return repr(value)[:_MAX_REPR]
    except BaseException:  # noqa: BLE001  a hostile __repr__ costs its own value only, not the sender its thread
        return f"({type(value).__name__} that cannot be read)"


_encode = msgspec.msgpack.Encoder(enc_hook=portable).encode


def encode_batch(
    resource: Resource,
    segments: Sequence[Segment],
    pause: Callable[[], object] = lambda: None,
    cut: list[int] | None = None,
) -> tuple[bytes, int]:
    """The bytes of `Batch(WIRE_VERSION, resource, segments)` and how many segments had to be left out.

    `pause` is called between chunks. At most 65,535 segments. To `cut` goes, for each segment that was too large, how many
    bytes it went without.
    """
    parts: list[bytes] = []
    lost = 0
    for first in range(0, len(segments), _CHUNK):
        chunk = list(segments[first : first + _CHUNK])
        if first:
            pause()
        try:
            encoded_chunk = list(map(_encode, chunk))
            largest = max(map(len, encoded_chunk))
            names = list(map(_name, chunk))
            annotated = list(filter(None, map(_annotations, chunk)))
            # All loops are in C: a third of what Python's would cost.
            ordinary = (
                "" not in names
                and _TEXT.issuperset(map(type, names))
                and (largest <= MAX_NAME or (largest <= MAX_SEGMENT_BYTES and _well_named(names, chunk)))
                and (not annotated or (_plain_types(annotated) and (largest <= _SMALL or _short(annotated))))
                and all(map(_is_json, filter(None, map(_metadata, chunk))))
                and all(map(_is_json, filter(None, map(_aws, chunk))))
            )
        except BaseException:  # noqa: BLE001  whatever a user's object raises, SystemExit too
            ordinary = False
        if ordinary:
            parts += encoded_chunk
        else:
            for segment in chunk:
                encoded = _encode_one(segment, cut)
                if encoded:
                    parts.append(encoded)
                else:
                    lost += 1
    count = (len(segments) - lost).to_bytes(2, "big")
    return b"".join([b"\x93", _encode(WIRE_VERSION), _encode(resource), b"\xdc", count, *parts]), lost


def _plain_types(annotated: list[dict[str, Annotation]]) -> bool:
    """Whether all keys and values are of the wire's types."""
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
    kind = type(value)
    if kind is bool:
        return bool(value)
    for plain in (int, float):
        if issubclass(kind, plain):
            return plain.__pos__(value)  # not the subclass's own idea of it
    return _text(value)[:MAX_VALUE]


def _well_named(names: list[str], chunk: list[Segment]) -> bool:
    return max(map(len, names)) <= MAX_NAME and max(map(len, map(_operation, chunk))) <= MAX_TEXT


def _is_json(value: Any, depth: int = _MAX_DEPTH) -> bool:
    """Whether the collector takes it as it is. What is not is copied by `plain`."""
    kind = type(value)
    if kind is dict:
        return _TEXT.issuperset(map(type, value)) and (
            _JSON.issuperset(map(type, value.values()))
            or (depth > 0 and all(_is_json(item, depth - 1) for item in value.values()))
        )
    if kind is list:
        return _JSON.issuperset(map(type, value)) or (depth > 0 and all(_is_json(item, depth - 1) for item in value))
    return kind in _JSON


def _encode_one(segment: Segment, cut: list[int] | None) -> bytes:
    try:
        if segment.annotations:
            segment.annotations = limited(segment.annotations)
        segment.name = _cut(segment.name, MAX_NAME) or "unknown"
        segment.operation = _cut(segment.operation, MAX_TEXT)
        segment.metadata = plain(segment.metadata)
        segment.aws = plain(segment.aws)
        encoded = _encode(segment)
    except BaseException:  # noqa: BLE001
        for field in segment.__struct_fields__[_IDS:]:
            _clean(segment, field)
        try:
            encoded = _encode(segment)
        except BaseException:  # noqa: BLE001  counted by the caller
            return b""
    whole = len(encoded)
    for part in _LARGE:
        if len(encoded) <= MAX_SEGMENT_BYTES:
            break
        setattr(segment, part, None)
        encoded = _encode(segment)
    if cut is not None and len(encoded) < whole:
        cut.append(whole - len(encoded))
    return encoded


def _clean(segment: Segment, field: str) -> None:
    """Leave in `field` only what can be carried; a free-form part that cannot even be read is left out."""
    try:
        setattr(segment, field, plain(getattr(segment, field)))
    except BaseException:  # noqa: BLE001  what users' objects raise
        if field in _FREE:
            setattr(segment, field, None)


def _cut(text: object, limit: int) -> str:
    """Any object as a string of at most `limit` characters; one of the collector's refusals less."""
    return (text if type(text) is str else _text(text))[:limit]


def _text(value: object) -> str:
    try:
        return str.__str__(value) if isinstance(value, str) else str(value)
    except BaseException:  # noqa: BLE001  a hostile __str__ costs its own value only
        return f"({type(value).__name__} that cannot be read)"


def plain(value: Any, depth: int = 0) -> Any:
    """`value` with everything that msgpack cannot carry replaced."""
    kind = type(value)  # not `isinstance`, which asks the object
    if value is None or kind is bool:
        return value
    if issubclass(kind, str):
        return str.encode(value, "utf-8", "replace").decode()
    if issubclass(kind, int):
        number = int.__pos__(value)
        return number if -(2**63) <= number < 2**64 else _digits(number)
    if issubclass(kind, float):
        return float.__pos__(value)
    if depth == _MAX_DEPTH:
        return "…"
    if issubclass(kind, msgspec.Struct):
        items = {name: getattr(value, name) for name in value.__struct_fields__}
        if value.__struct_config__.array_like:  # our own; what is bytes there is an id
            return [item if type(item) is bytes else plain(item, depth + 1) for item in items.values()]
        return plain(items, depth)
    if issubclass(kind, dict):
        # A copy, made in one step: the application may still be writing to it.
        return {plain(_key(key), depth + 1): plain(item, depth + 1) for key, item in list(dict.items(value))}
    if issubclass(kind, (list, tuple, set, frozenset)):
        return [plain(item, depth + 1) for item in kind.__iter__(value)]
    return plain(portable(value), depth)


def _digits(number: int) -> str:
    """Python refuses to write very long ones, which take long."""
    return str(number) if number.bit_length() < _MAX_REPR else hex(number)[:_MAX_REPR]


def _key(key: object) -> str:
    return str.__str__(key) if issubclass(type(key), str) else portable(key)
