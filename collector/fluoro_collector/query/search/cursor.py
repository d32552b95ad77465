"""Where a page of a search ended."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple


class Position(NamedTuple):
    """Start (epoch ns) and id of the last trace of a page. New traces do not move it.

    `matching` is how many traces match in all, -1 when nobody counted: later pages need not count again.
    """

    start: int
    trace_id: bytes
    matching: int = -1

    def __str__(self) -> str:
        data = self.start.to_bytes(8, "big") + self.trace_id
        if self.matching >= 0:
            data += self.matching.to_bytes(8, "big")
        return base64.urlsafe_b64encode(data).decode().rstrip("=")


class CursorError(ValueError):
    """The cursor is not one that an earlier page gave."""


def parse_cursor(text: str) -> Position:
    """Raises CursorError."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    counted = len(data) == 32 and data[24] < 128
    if not (len(data) == 24 or counted) or data[0] > 127:
        raise CursorError("this cursor was not given out by this API")
    matching = int.from_bytes(data[24:], "big") if counted else -1
    return Position(int.from_bytes(data[:8], "big"), data[8:24], matching)
