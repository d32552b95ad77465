"""What every decoder returns: batches of segments, and what it had to refuse."""

from __future__ import annotations

from typing import NamedTuple

from fluoro.model import Resource, Segment


class Rejection(NamedTuple):
    """One refused item. `code` is X-Ray's error code (InvalidTraceId, MissingId, InvalidSegment, …) or a word of ours.

    `message` is for the sender and never quotes the payload. `id` is the segment id if it could be read.
    """

    code: str
    message: str
    id: str = ""


class Decoded(NamedTuple):
    """`batches` share one resource each. Every item of the input is in a batch or in `rejections`."""

    batches: list[tuple[Resource, list[Segment]]]
    rejections: list[Rejection]
