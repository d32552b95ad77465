"""GetSamplingTargets as a whole: reports in, targets out, and the job that shares both with other collectors."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from fluoro_collector.store.configuration import Configuration
from fluoro_collector.store.engine import Engine

from .boost import Boosted, Boosts
from .reservoirs import ACTIVE_S, INTERVAL_S, Reservoirs
from .rules import Rule, Rules
from .statistics import Statistics, Summary

SHARE_S = 10.0  # how often collectors tell each other, by way of the store
QUOTA_S = 300  # how long a quota holds when the client cannot reach us


class Target(NamedTuple):
    """What one client may do under one rule: `quota` traces a second until `until` (epoch seconds), then the rate."""

    rule: Rule
    quota: int
    until: float
    boost: Boosted | None


class Sampling:
    """Thread-safe. Blocks on the engine; never call it on the event loop. `clock` gives epoch seconds."""

    interval_s = INTERVAL_S

    def __init__(self, engine: Engine, configuration: Configuration, *, clock: Callable[[], float] = time.time) -> None:
        self.rules = Rules(configuration)
        self.boosts = Boosts(configuration)
        self._statistics = Statistics(engine)
        self._reservoirs = Reservoirs()
        self._clock = clock

    def report(self, rule: Rule, client: str, requests: int, sampled: int, borrowed: int) -> Target:
        """One client's counts under a rule since its last report."""
        now = self._clock()
        quota = self._reservoirs.lend(rule.name, rule.definition.reservoir_size, client, requests, now)
        self._statistics.add(rule.name, client, requests, sampled, borrowed, quota, now)
        return Target(rule, quota, now + QUOTA_S, self.boosts.current(rule, now))

    def report_anomalies(self, rule: Rule, service: str, anomalies: int, total: int, recorded: int) -> None:
        """What a service saw of anomalies under a rule that can be boosted."""
        self.boosts.report(rule, service, anomalies, total, recorded, self._clock())

    def summaries(self) -> list[Summary]:
        """By time and rule, the last hour."""
        return self._statistics.summaries(self._clock())

    def forget(self, rule: str) -> None:
        """The rule is deleted: another one of its name begins anew."""
        self._reservoirs.forget(rule)
        self.boosts.forget(rule)

    def share(self) -> None:
        """The job: store what clients reported, and learn what other collectors lent. Raises StoreError, StoreBusy."""
        self._statistics.store()
        self._reservoirs.keep_only(set(self.rules.by_name()))
        for other in self._statistics.others(self._clock() - ACTIVE_S):
            self._reservoirs.learn(other.rule, other.client, other.demand, other.quota, other.reported)
