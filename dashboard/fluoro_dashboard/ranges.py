"""Time ranges: the presets of `?range=` and the absolute `?from=…&to=…` (epoch seconds) of `?range=custom`."""

from __future__ import annotations

import math
from typing import NamedTuple

PRESETS = {"5m": 300, "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800}
CUSTOM = "custom"
DEFAULT = "1h"
REFRESH = {"off": None, "2s": 2, "5s": 5, "10s": 10, "30s": 30}
_PERIODS = (1, 5, 10, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 86400)


class TimeRange(NamedTuple):
    """Epoch seconds, [start, end). `name` is a preset's or `custom`."""

    start: int
    end: int
    name: str

    @property
    def seconds(self) -> int:
        return self.end - self.start

    def params(self) -> dict[str, str]:
        """The query parameters that lead back to this range."""
        if self.name != CUSTOM:
            return {"range": self.name}
        return {"range": CUSTOM, "from": str(self.start), "to": str(self.end)}


def resolve(
    name: str | None, now: float, *, step: int = 5, start: float | None = None, end: float | None = None
) -> TimeRange:
    """The range meant by a name. A relative one ends at `now` rounded up to `step`, so that equal questions within a step
    are equal bytes and hit the cache. Nonsense falls back to the default preset.
    """
    if name == CUSTOM and start is not None and end is not None and 0 <= start < end:
        return TimeRange(math.floor(start), max(math.ceil(end), math.floor(start) + 1), CUSTOM)
    known = name if name in PRESETS else DEFAULT
    last = math.ceil(now / step) * step
    return TimeRange(last - PRESETS[known], last, known)


def covering(newest: float, now: float) -> TimeRange:
    """The shortest preset that still shows `newest`; an hour that ends just after it when no preset does."""
    for name, seconds in PRESETS.items():
        if now - newest < seconds * 0.95:
            return resolve(name, now)
    return TimeRange(math.floor(newest) - 3540, math.floor(newest) + 60, CUSTOM)


def period(seconds: int, points: int = 60) -> int:
    """Seconds per point of a time series, so that about `points` of them fill the range. A minute at least: the rollup's grain."""
    wanted = max(60.0, seconds / points)
    return next((size for size in _PERIODS if size >= wanted), _PERIODS[-1])


def epoch(text: str | None) -> float | None:
    """A `?from=`/`?to=` value; None when it is not a usable number."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value < 253_402_300_800 else None
