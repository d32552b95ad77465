"""How much one request may hold, whatever it weighs on the wire: two bytes can be a span that costs 20 µs and 300 bytes."""

from __future__ import annotations

from fluoro.errors import WireError

MAX_SEGMENTS = 100_000  # in one request, those that are refused too; also resources and scopes
MAX_SEGMENT_BYTES = 1 << 20  # one segment or span on the wire; X-Ray allows 64 KB
MAX_RESOURCE_BYTES = 64 << 10  # encoded
MAX_VALUES = (
    1_000_000  # lists, dicts and what is in them in the free-form parts of one request; each takes 60 to 250 bytes
)
MAX_ATTRIBUTES = 10_000  # of a span, an event or a link
MAX_EVENTS = 1_000  # of a span; links too
WHOLE_BYTES = 1 << 20  # a larger request is decoded piece by piece, so that what is refused is never in memory together

# A parsed JSON value takes up to 116 bytes for each of the signs that must stand around it.
_MAX_SIGNS = 2_000_000
_SIGNS = (b"{", b"[", b",")


class Allowance:
    """Counts down while one request is decoded."""

    def __init__(self, left: int = MAX_SEGMENTS) -> None:
        self._all = self._left = left

    def spend(self, count: int = 1) -> None:
        """Raises WireError when the request has held more than it may."""
        self._left -= count
        if self._left < 0:
            raise WireError(f"the request holds more than {self._all} items; send smaller batches")


def check_json(data: bytes) -> None:
    """Raises WireError when parsing `data` would take far more memory than an honest request of its size."""
    if len(data) > _MAX_SIGNS and sum(map(data.count, _SIGNS)) > _MAX_SIGNS:
        raise WireError("the JSON holds too many values; send smaller batches")
