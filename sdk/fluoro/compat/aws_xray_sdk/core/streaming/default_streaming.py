from __future__ import annotations

from collections.abc import Callable
from typing import Any


class DefaultStreaming:
    """Holds the threshold that was configured. Every entity is sent when it ends, so there is nothing to stream."""

    def __init__(self, streaming_threshold: int = 30) -> None:
        self._threshold = streaming_threshold

    def is_eligible(self, segment: Any) -> bool:  # noqa: ARG002
        return False

    def stream(self, entity: Any, callback: Callable[[Any], None]) -> None:
        """Nothing."""

    @property
    def streaming_threshold(self) -> int:
        return self._threshold

    @streaming_threshold.setter
    def streaming_threshold(self, value: int) -> None:
        self._threshold = value
