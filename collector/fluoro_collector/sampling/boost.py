"""A higher rate for a minute when anomalies rise, so that some of them are recorded from the root on.

The services of a trace report under the root's rule how many requests they saw, and how many of these were anomalies. When in
the last 20 s the share of anomalies of some service is at least 1 % and twice what it was in the 5 minutes before, and too
few of them were recorded, the rule is boosted: to the rate at which one anomaly a second would be, at most the rule's
maximum. Then the rule's cooldown passes, counted from the boost's start, before there can be another.

A boost is kept in the configuration, so all collectors hand it out and none begins a second one. Each looks only at
the reports that reached it.
"""

from __future__ import annotations

import logging
import threading
from typing import NamedTuple

import msgspec

from fluoro_collector.store.configuration import Configuration
from fluoro_collector.store.engine import StoreError

from .rules import Rule

log = logging.getLogger(__name__)

KIND = "sampling-boost"  # of the documents in `store.configuration`, by name of the rule
BOOST_S = 60.0
LEAST_SHARE = 0.01
RISE = 2.0
WANTED = 20  # anomalies to record in the last two buckets
_BUCKET_S = 10
_HISTORY = 30  # buckets before the last two
_MOST_SERVICES = 10_000  # rules and services that are watched


class Boosted(msgspec.Struct, frozen=True):
    """`rate` holds from `started` to `until`, epoch seconds."""

    rate: float
    started: float
    until: float


class _Counts(NamedTuple):
    anomalies: int = 0
    total: int = 0
    recorded: int = 0

    def plus(self, other: _Counts) -> _Counts:
        return _Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def share(self) -> float:
        return self.anomalies / self.total if self.total else 0.0


class Boosts:
    """Thread-safe. Blocks on the engine when a boost begins."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._lock = threading.Lock()
        self._history: dict[tuple[str, str], dict[int, _Counts]] = {}

    def report(self, rule: Rule, service: str, anomalies: int, total: int, recorded: int, now: float) -> None:
        """What one process counted since its last report. May begin a boost."""
        boost = rule.definition.boost
        if boost is None:
            return
        recent, before = self._add((rule.name, service), _Counts(min(anomalies, total), total, recorded), now)
        if recent.share < max(LEAST_SHARE, RISE * before.share) or recent.recorded >= WANTED:
            return
        rate = min(boost.max_rate, WANTED / recent.anomalies)
        if rate > rule.definition.fixed_rate:
            self._begin(rule, rate, boost.cooldown_window_minutes * 60, now)

    def current(self, rule: Rule, now: float) -> Boosted | None:
        """The boost that holds now; never over the rule's maximum of today."""
        boost = rule.definition.boost
        document = self._configuration.get(KIND, rule.name) if boost is not None else None
        if boost is None or document is None:
            return None
        found = msgspec.convert(document, Boosted)
        if not found.started <= now < found.until:
            return None
        return Boosted(min(found.rate, boost.max_rate), found.started, found.until)

    def forget(self, rule: str) -> None:
        """The rule is deleted; another of its name begins anew."""
        with self._lock:
            for key in [key for key in self._history if key[0] == rule]:
                del self._history[key]
        with self._configuration.edit(KIND) as edit:
            if rule in edit.documents.by_name:
                edit.delete(rule)

    def _add(self, key: tuple[str, str], counts: _Counts, now: float) -> tuple[_Counts, _Counts]:
        """Sums of the last two buckets, and of those before."""
        bucket = int(now) // _BUCKET_S
        recent = before = _Counts()
        with self._lock:
            if key not in self._history and len(self._history) >= _MOST_SERVICES:
                del self._history[next(iter(self._history))]
            history = self._history.pop(key, {})
            history = {at: kept for at, kept in history.items() if bucket - _HISTORY - 1 <= at <= bucket}
            history[bucket] = history.get(bucket, _Counts()).plus(counts)
            self._history[key] = history  # last in order: the one that is removed last
            for at, kept in history.items():
                if at >= bucket - 1:
                    recent = recent.plus(kept)
                else:
                    before = before.plus(kept)
        return recent, before

    def _begin(self, rule: Rule, rate: float, cooldown_s: float, now: float) -> None:
        """Unless a boost holds or the last one is too recent. A store that cannot take it now means no boost."""
        if _too_soon(self._configuration.get(KIND, rule.name), cooldown_s, now):
            return
        try:
            with self._configuration.edit(KIND) as edit:
                if not _too_soon(edit.documents.by_name.get(rule.name), cooldown_s, now):
                    edit.put(rule.name, {"rate": rate, "started": now, "until": now + BOOST_S})
        except StoreError:
            log.warning("sampling is not boosted: the store did not take it")


def _too_soon(document: dict[str, float] | None, cooldown_s: float, now: float) -> bool:
    return document is not None and now < max(document["until"], document["started"] + cooldown_s)
