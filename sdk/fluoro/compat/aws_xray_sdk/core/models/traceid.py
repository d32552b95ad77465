from __future__ import annotations

from fluoro.recorder import new_trace_id
from fluoro.xray_document import trace_id


class TraceId:
    """A new trace id; `start_time` is its epoch second."""

    VERSION = "1"
    DELIMITER = "-"

    def __init__(self) -> None:
        self._id = new_trace_id()
        self.start_time = int.from_bytes(self._id[:4], "big")

    def to_id(self) -> str:
        """`1-8hex-24hex`."""
        return trace_id(self._id)
