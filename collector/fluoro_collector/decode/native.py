"""Native batches (msgpack, media type `application/x-fluoro-batch`) → segments."""

from __future__ import annotations

from typing import Annotated

import msgspec

from fluoro.errors import WireError
from fluoro.model import WIRE_VERSION, Resource, Segment
from fluoro_collector.decode.decoded import Decoded, Rejection
from fluoro_collector.decode.limits import (
    MAX_RESOURCE_BYTES,
    MAX_SEGMENT_BYTES,
    MAX_SEGMENTS,
    MAX_VALUES,
    WHOLE_BYTES,
    Allowance,
)
from fluoro_collector.decode.plain import count_values, is_plain

_Many = msgspec.Meta(max_length=MAX_SEGMENTS)  # checked before the first is decoded


class _Batch(msgspec.Struct, array_like=True):
    """`fluoro.model.Batch` with a bound."""

    version: int
    resource: Resource
    segments: Annotated[list[Segment], _Many]


class _RawBatch(msgspec.Struct, array_like=True):
    """A `fluoro.model.Batch` whose resource and segments are still bytes."""

    version: int
    resource: msgspec.Raw
    segments: Annotated[list[msgspec.Raw], _Many]


_whole = msgspec.msgpack.Decoder(_Batch).decode
_raw = msgspec.msgpack.Decoder(_RawBatch).decode
_resource = msgspec.msgpack.Decoder(Resource).decode
_segment = msgspec.msgpack.Decoder(Segment).decode

# msgspec raises DecodeError (a ValueError), UnicodeDecodeError (a ValueError too) and RecursionError.
_BAD = (ValueError, RecursionError)


def decode(data: bytes) -> Decoded:
    """The segments of one native batch.

    A segment that does not fit the model is rejected by itself, with the path of its first bad field; the others are
    kept. Raises WireError when the bytes are no batch, have a bad resource or an unknown version, or hold more than
    `limits` allow. A large batch is decoded segment by segment, so that its free-form parts can be bounded.
    """
    if len(data) > WHOLE_BYTES:
        return _piecewise(data)
    try:
        batch = _whole(data)
    except _BAD:
        return _piecewise(data)
    _require_version(batch.version)
    resource = batch.resource
    if not is_plain(resource.attributes):
        raise WireError("native batch: $[1].attributes holds a value that is not JSON")
    rejections: list[Rejection] = []
    return Decoded([(resource, _only_plain(batch.segments, rejections))], rejections)


def _piecewise(data: bytes) -> Decoded:
    try:
        batch = _raw(data)
        _require_version(batch.version)
        if len(bytes(batch.resource)) > MAX_RESOURCE_BYTES:
            raise WireError(f"native batch: $[1] is larger than {MAX_RESOURCE_BYTES} bytes")
        resource = _resource(batch.resource)
    except _BAD as error:
        raise WireError(f"not a native batch: {_reason(error)}") from None
    if not is_plain(resource.attributes):
        raise WireError("native batch: $[1].attributes holds a value that is not JSON")
    allowance = Allowance(MAX_VALUES)
    kept: list[Segment] = []
    rejections: list[Rejection] = []
    for index, raw in enumerate(batch.segments):
        if len(bytes(raw)) > MAX_SEGMENT_BYTES:
            rejections.append(Rejection("TooLarge", f"$[2][{index}]: larger than {MAX_SEGMENT_BYTES} bytes"))
            continue
        try:
            segment = _segment(raw)
        except _BAD as error:
            rejections.append(Rejection("InvalidSegment", f"$[2][{index}]: {_reason(error)}"))
            continue
        if not (segment.annotations or segment.metadata or segment.aws or segment.events or segment.links):
            kept.append(segment)
        elif _free_form_is_plain(segment):
            allowance.spend(_free_form_size(segment))
            kept.append(segment)
        else:
            rejections.append(_not_plain(segment, index))
    return Decoded([(resource, kept)], rejections)


def _free_form_size(segment: Segment) -> int:
    """How many values the free-form parts hold."""
    size = len(segment.annotations or ())
    if segment.metadata:
        size += count_values(segment.metadata)
    if segment.aws:
        size += count_values(segment.aws)
    if segment.events or segment.links:
        size += sum(1 + count_values(item.attributes) for item in (*(segment.events or ()), *(segment.links or ())))
    return size


def _require_version(version: int) -> None:
    if version != WIRE_VERSION:
        raise WireError(f"native batch version {version}; this collector reads version {WIRE_VERSION}")


def _only_plain(segments: list[Segment], rejections: list[Rejection]) -> list[Segment]:
    if all(map(_free_form_is_plain, segments)):
        return segments
    kept = []
    for index, segment in enumerate(segments):
        if _free_form_is_plain(segment):
            kept.append(segment)
        else:
            rejections.append(_not_plain(segment, index))
    return kept


def _free_form_is_plain(segment: Segment) -> bool:
    if segment.metadata and not is_plain(segment.metadata):
        return False
    if segment.aws and not is_plain(segment.aws):
        return False
    if segment.events and not all(is_plain(event.attributes) for event in segment.events):
        return False
    return not segment.links or all(is_plain(link.attributes) for link in segment.links)


def _not_plain(segment: Segment, index: int) -> Rejection:
    message = f"$[2][{index}]: aws, metadata, events or links hold a value that is not JSON"
    return Rejection("InvalidSegment", message, f"{segment.id:016x}" if 0 <= segment.id < 1 << 64 else "")


def _reason(error: BaseException) -> str:
    """What is wrong, without the payload: msgspec's texts name types and paths; a Unicode error would quote bytes."""
    if isinstance(error, UnicodeDecodeError):
        return "a string is not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error)
