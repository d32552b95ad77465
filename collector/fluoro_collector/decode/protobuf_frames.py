"""Protobuf's outer framing alone: fields and their bytes, without looking into them."""

from __future__ import annotations

from collections.abc import Iterator

from fluoro_collector.decode.limits import Allowance

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def frames(data: bytes, allowance: Allowance | None = None) -> Iterator[tuple[int, bytes]]:
    """(field number, body) of every length-delimited field of a message; other fields are skipped.

    Each one is spent from `allowance`. Raises ValueError when the bytes are not framed as protobuf.
    """
    position, size = 0, len(data)
    while position < size:
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == _BYTES:
            length, position = _varint(data, position)
            end = position + length
            if end > size:
                raise ValueError(f"a field ends {end - size} bytes after the message")
            if allowance is not None:
                allowance.spend()
            yield tag >> 3, data[position:end]
            position = end
        elif wire == _VARINT:
            _, position = _varint(data, position)
        elif wire in (_FIXED32, _FIXED64):
            position += 4 if wire == _FIXED32 else 8
            if position > size:
                raise ValueError("a field ends after the message")
        else:
            raise ValueError(f"unknown wire type {wire}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if position >= len(data):
            raise ValueError("the message ends inside a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("a number has more than ten bytes")
