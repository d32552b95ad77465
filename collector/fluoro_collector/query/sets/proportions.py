"""Two shares compared, when one or both come from few cases."""

from __future__ import annotations

import math
from typing import NamedTuple


class Difference(NamedTuple):
    """`value` is the first share minus the second, `low` and `high` the bounds of its confidence interval; all −1 to 1."""

    value: float
    low: float
    high: float


def wilson(count: int, total: int, z: float) -> tuple[float, float]:
    """Wilson's score interval of the share count / total; (0, 1) when there is no case. Sound for few cases and for 0."""
    if total <= 0:
        return 0.0, 1.0
    share = count / total
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    middle, scale = share + z * z / (2 * total), 1 + z * z / total
    return max((middle - spread) / scale, 0.0), min((middle + spread) / scale, 1.0)


def difference(count: int, total: int, base_count: int, base_total: int, z: float) -> Difference:
    """Count / total − base_count / base_total with Newcombe's hybrid score interval. An empty side says nothing: its share
    counts as 0, and the interval is as wide as that leaves it.
    """
    share, base = count / total if total > 0 else 0.0, base_count / base_total if base_total > 0 else 0.0
    low, high = wilson(count, total, z)
    base_low, base_high = wilson(base_count, base_total, z)
    value = share - base
    return Difference(
        value,
        max(value - math.hypot(share - low, base_high - base), -1.0),
        min(value + math.hypot(high - share, base - base_low), 1.0),
    )
