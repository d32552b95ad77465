from __future__ import annotations

from fluoro.xray_document import trace_id


class NoOpTraceId:
    """The id of no trace: all zeros."""

    VERSION = "1"
    DELIMITER = "-"

    def __init__(self) -> None:
        self.start_time = "00000000"

    def to_id(self) -> str:
        return trace_id(bytes(16))
