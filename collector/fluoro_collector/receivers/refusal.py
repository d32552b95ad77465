"""Why a door did not take a request, and how that reads on HTTP, gRPC and in the ledger."""

from __future__ import annotations

import math
from typing import NamedTuple


class Answer(NamedTuple):
    """How one reason is told: HTTP status and google.rpc code (numbers of `google/rpc/code.proto`)."""

    status: int
    code: int


INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE = 3, 4, 8, 14

# Senders retry exactly 429, 502, 503, 504 and UNAVAILABLE; older OTel exporters do not know 429, so overload is 503.
ANSWERS = {
    "Undecodable": Answer(400, INVALID_ARGUMENT),
    "UnsupportedMediaType": Answer(415, INVALID_ARGUMENT),
    "UnsupportedEncoding": Answer(415, INVALID_ARGUMENT),
    "TooLarge": Answer(413, RESOURCE_EXHAUSTED),
    "TooSlow": Answer(408, DEADLINE_EXCEEDED),
    "BufferFull": Answer(503, UNAVAILABLE),
    "StoreBusy": Answer(503, UNAVAILABLE),
    "StoreFailed": Answer(503, UNAVAILABLE),
    "Stopping": Answer(503, UNAVAILABLE),
    "InternalFault": Answer(503, UNAVAILABLE),
}


class Refusal(Exception):
    """A whole request is not taken. `reason` is a key of ANSWERS, `retry_after_s` 0 when a retry cannot help.

    `message` is for the sender and quotes nothing of the payload.
    """

    def __init__(self, reason: str, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s
        self.status, self.code = ANSWERS[reason]

    @property
    def headers(self) -> dict[str, str]:
        """HTTP's Retry-After, in whole seconds, when a retry helps."""
        return {"Retry-After": str(math.ceil(self.retry_after_s))} if self.retry_after_s else {}
