"""Buckets of durations: four per octave, the same in SQL and in Python.

Bucket b counts durations d (ns) with 2^((b + 40) / 4) <= d < 2^((b + 41) / 4): a bucket is 19 % wide, so its geometric
middle is at most 9 % off. Bucket 0 also takes everything below 1 µs, bucket 127 everything from 61 minutes up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

PER_OCTAVE = 4
FIRST = 40  # log2 of the first bound, in quarters: 2^10 ns
LAST = 127

# `{duration}` is a UInt64 column or expression in ns. As a state: sumMap(map(BUCKET, toUInt64(1))).
BUCKET_SQL = "toUInt8(least(greatest(floor(log2({duration}) * 4) - 40, 0), 127))"


def bucket_sql(duration: str = "duration") -> str:
    """The SQL expression (UInt8) for the bucket of `duration`, a column or expression in ns."""
    return BUCKET_SQL.format(duration=duration)


def bucket(duration_ns: int) -> int:
    """The bucket 0…127 of a duration."""
    if duration_ns <= 0:
        return 0
    return min(max(math.floor(math.log2(duration_ns) * PER_OCTAVE) - FIRST, 0), LAST)


def middle(index: int) -> float:
    """The geometric middle of a bucket, in seconds."""
    return float(2.0 ** ((index + FIRST + 0.5) / PER_OCTAVE)) / 1e9


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """The duration in seconds below which `share` (0…1) of the counts lie, at most 9 % off; None when empty."""
    total = sum(histogram.values())
    if not total:
        return None
    rank = share * total
    seen = 0
    for index in sorted(histogram):
        seen += histogram[index]
        if seen >= rank:
            return middle(index)
    return middle(max(histogram))


def points(histogram: Mapping[int, int]) -> list[tuple[float, int]]:
    """(middle in seconds, count) of the buckets in use, ascending."""
    return [(middle(index), histogram[index]) for index in sorted(histogram) if histogram[index]]
