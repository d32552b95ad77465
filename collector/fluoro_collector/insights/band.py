"""How many faults are usual: the expected band of a service, from what it did before.

The number of faults among n requests is taken as beta-binomial: requests fail independently at a rate that itself moves.
Its spread has three sources, added up as relative variances: how little is known (few faults were seen), how much the
rate moved in the history, and a drift that is always allowed. So small traffic has a wide band, a service that is always
flaky has one too, and a large one needs more than a trifle.

What happened once must not count as usual: rate and spread are medians over blocks of the history with equal numbers of
requests. An incident that fills less than half of them changes nothing; faults that come back every hour are in every block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

# One minute in a thousand may leave the band on each side although nothing happened.
TAIL = 0.001
# Relative standard deviation of the rate that is never news: 100 requests at 10 % may become 100 at 16 %.
DRIFT = 0.2
# Below this share of requests faults are never too many, and neither is a single one.
FLOOR_RATE = 0.001
FLOOR_FAULTS = 1
# Less history than this says nothing.
MIN_BUCKETS = 12
MIN_REQUESTS = 100
MOST_BLOCKS = 15
FAULTS_PER_BLOCK = 5  # with fewer, the median of the blocks would be 0 where faults are rare but usual

_STEPS = 60  # faults of the mean that are counted one by one; more are counted in as many equal steps


class Band(NamedTuple):
    """Numbers of faults that are usual, both ends included."""

    low: int
    high: int


class Baseline(NamedTuple):
    """What is usual: a share of requests that fail, and `concentration`, the sum of the beta distribution's parameters."""

    rate: float
    concentration: float

    def band(self, total: int) -> Band:
        """The band of the faults among `total` requests: `0 <= low <= high <= max(total, FLOOR_FAULTS)`."""
        if total <= 0:
            return Band(0, FLOOR_FAULTS)
        low, high = (
            self._scaled(total) if total * self.rate > _STEPS else _quantiles(total, self.rate, self.concentration)
        )
        return Band(low, max(high, math.ceil(total * FLOOR_RATE), FLOOR_FAULTS))

    def _scaled(self, total: int) -> Band:
        """Of many requests: the share is that of fewer ones with the same mean and variance."""
        fewer = math.ceil(_STEPS / self.rate)
        variance = (self.concentration + total) / (total * (self.concentration + 1))  # in units of rate * (1 - rate)
        concentration = fewer * (1 - variance) / max(variance * fewer - 1, 1e-6)
        low, high = _quantiles(fewer, self.rate, concentration)
        return Band(low * total // fewer, math.ceil(high * total / fewer))


def _quantiles(total: int, rate: float, concentration: float) -> Band:
    """By adding up probabilities from 0 faults on, in logarithms because the first may be tiny."""
    a, b = rate * concentration, (1 - rate) * concentration
    log = math.lgamma(total + b) - math.lgamma(total + a + b) + math.lgamma(a + b) - math.lgamma(b)
    seen = math.exp(log)
    low = 0 if seen >= TAIL else -1
    faults = 0
    while seen < 1 - TAIL and faults < total:
        log += math.log((total - faults) * (a + faults) / ((faults + 1) * (b + total - faults - 1)))
        seen += math.exp(log)
        faults += 1
        if low < 0 and seen >= TAIL:
            low = faults
    return Band(max(low, 0), faults)


def fit(history: Sequence[tuple[int, int]]) -> Baseline | None:
    """What is usual after `history`: (requests, faults) of periods of equal length, oldest first, without the moments to judge.

    None when it says too little: under `MIN_REQUESTS` requests or `MIN_BUCKETS` periods with any.
    """
    seen = [(total, faults) for total, faults in history if total > 0]
    requests = sum(total for total, _ in seen)
    if len(seen) < MIN_BUCKETS or requests < MIN_REQUESTS:
        return None
    wanted = min(sum(faults for _, faults in seen) // FAULTS_PER_BLOCK, MOST_BLOCKS, len(seen) - 1) | 1
    blocks = _blocks(seen, requests / wanted)
    usual = median(sum(faults for _, faults in block) / sum(total for total, _ in block) for block in blocks)
    rate = (usual * requests + 0.5) / (requests + 1)
    room = rate * (1 - rate)
    correlation = max(median(_correlation(block, rate) for block in blocks), 0.0)
    variance = 1 / (requests * room) + correlation / room + DRIFT**2  # of the rate's logit
    return Baseline(rate, max(1 / (variance * room) - 1, 0.01))


def band(history: Sequence[tuple[int, int]], expected_total: int) -> Band | None:
    """The expected faults among `expected_total` requests after `history`; see `fit`. None: nothing can be expected."""
    baseline = fit(history)
    return None if baseline is None else baseline.band(expected_total)


def _blocks(history: Sequence[tuple[int, int]], size: float) -> list[list[tuple[int, int]]]:
    """Consecutive periods with about `size` requests each; none is empty."""
    blocks: list[list[tuple[int, int]]] = []
    before = 0
    for total, faults in history:
        if int((before + total / 2) / size) >= len(blocks):
            blocks.append([])
        blocks[-1].append((total, faults))
        before += total
    return blocks


def _correlation(block: Sequence[tuple[int, int]], rate: float) -> float:
    """How much more the faults of a block spread around `rate` than independent ones would: 0 not at all, 1 all or none."""
    room = rate * (1 - rate)
    pairs = sum(total * (total - 1) for total, _ in block)
    if not pairs:
        return 0.0
    spread = sum((faults - total * rate) ** 2 - total * room for total, faults in block)
    return min(spread / (pairs * room), 1.0)
