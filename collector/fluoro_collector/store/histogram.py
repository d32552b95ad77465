"""Buckets of durations: four per octave, the same in SQL and in Python.

Bucket b counts durations d (ns) with 2^((b + 40) / 4) <= d < 2^((b + 41) / 4): a bucket is 19 % wide, so its geometric
middle is at most 9 % off. Bucket 0 also takes everything below 1 µs, bucket 127 everything from 61 minutes up.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

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


_MIDDLES = tuple(middle(index) for index in range(LAST + 1))


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """The duration in seconds below which `share` (0…1) of the counts lie, at most 9 % off; None when empty."""
    return quantiles(histogram, (share,))[0]


def quantiles(histogram: Mapping[int, int], shares: Sequence[float]) -> list[float | None]:
    """`quantile` for each of `shares`."""
    return described(histogram, shares)[1]


def points(histogram: Mapping[int, int]) -> list[tuple[float, int]]:
    """(middle in seconds, count) of the buckets in use, ascending."""
    return described(histogram, ())[0]


def described(
    histogram: Mapping[int, int], shares: Sequence[float]
) -> tuple[list[tuple[float, int]], list[float | None]]:
    """`points` and `quantiles`, from one look at the histogram."""
    shown = [(_MIDDLES[index], count) for index, count in sorted(histogram.items()) if count]
    if not shown:
        return shown, [None for _ in shares]
    seen = list(accumulate(count for _, count in shown))
    total = seen[-1]
    return shown, [shown[bisect_left(seen, share * total)][0] for share in shares]
