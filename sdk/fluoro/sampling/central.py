"""Rules and quotas from the service: X-Ray's GetSamplingRules and GetSamplingTargets, in a thread of its own.

The thread starts with the first trace that this process has to decide on. It asks for the rules every 300 s, and every
10 s reports what was counted under the rules in use; the answer lends this process its part of each reservoir. Rules
that could not be refreshed for an hour are forgotten. Without rules the fallback decides.

A server that has no sampling operations is asked again after 5 minutes, then 10, up to an hour; one that cannot be
reached after 10 s, up to 5 minutes.
"""

from __future__ import annotations

import os
import time
from _random import Random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from fluoro import diagnostics, forks
from fluoro.real_threads import original
from fluoro.sampling.client import Unavailable
from fluoro.sampling.decision import RECORD, Decision, Sampler
from fluoro.sampling.rules import Process, Rule, Rules, read

RULES_EVERY_S = 300.0
RULES_JITTER_S = 5.0
TARGETS_EVERY_S = 10.0
TARGETS_JITTER_S = 0.1
RULES_LIVE_S = 3_600.0
MAX_DOCUMENTS = 25  # statistics in one report
FIRST_POLL_S = 0.25  # a process that ends sooner never asks
_MISSING_S = (300.0, 3_600.0)  # first and longest wait for a server without these operations
_AWAY_S = (10.0, 300.0)  # and for one that cannot be reached

_Process = Callable[[], Process]


class Client(Protocol):
    """What is needed of `SamplingClient`."""

    def rules(self) -> list[Any]: ...
    def targets(self, statistics: list[Any], boosts: list[Any]) -> dict[str, Any]: ...


class CentralSampler:
    """Called for each trace that nobody upstream has decided on. `start_thread` is off in tests, which call `poll`."""

    def __init__(
        self,
        client: Client,
        fallback: Sampler | None,
        process: _Process,
        *,
        quiet: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.time,
        start_thread: bool = True,
    ) -> None:
        """`process()` says who we are, asked in the thread, where it may take its time; `quiet()` is called there first,
        so that our own HTTP is not traced. `clock` gives epoch seconds.
        """
        self._client = client
        self._fallback = fallback
        self._process = process
        self._quiet = quiet
        self._clock = clock
        self._threaded = start_thread
        self._rules: Rules | None = None
        self._jitter = Random()
        self._renew()
        forks.in_child(self._forked)

    def __call__(self, trace_id: bytes, service: str, operation: str, method: str, url: str) -> Decision:
        if not self._started:
            self._start()
        rules = self._rules
        if rules is not None:
            rule = rules.match(service, method, url)
            if rule is not None:
                return rule.decide(trace_id, self._clock())
        fallback = self._fallback
        return RECORD if fallback is None else fallback(trace_id, service, operation, method, url)

    def close(self) -> None:
        """Let the thread end."""
        self._closed = True
        with suppress(RuntimeError):
            self._bell.release()

    def poll(self) -> float:
        """Do what is due; seconds until something is due again."""
        now = self._clock()
        if now >= self._rules_due:
            self._refresh(now)
        if self._rules is not None and now >= self._targets_due:
            self._report(self._rules, now)
        due = self._rules_due if self._rules is None else min(self._rules_due, self._targets_due)
        return max(0.0, due - now)

    # ---- the thread --------------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        self._jitter.seed(int.from_bytes(os.urandom(8), "big"))
        self._client_id = os.urandom(12).hex()
        self._bell = original("_thread", "allocate_lock")()
        self._bell.acquire()
        self._started = not self._threaded
        self._closed = False
        self._rules_due = self._targets_due = 0.0
        self._loaded_at = 0.0
        self._wait_s = 0.0

    def _forked(self) -> None:
        """In a child: the parent's rules hold until it has asked itself; what is counted and lent is the parent's."""
        loaded_at = self._loaded_at
        self._renew()
        if self._rules is not None:
            self._rules = self._rules.anew()
            self._loaded_at = loaded_at

    def _start(self) -> None:
        self._started = True
        with suppress(RuntimeError):  # the interpreter is shutting down
            original("_thread", "start_new_thread")(self._main, (self._bell,))

    def _main(self, bell: Any) -> None:
        self._quiet()
        wait_s = FIRST_POLL_S
        while True:
            bell.acquire(True, wait_s)
            if self._closed:
                return
            try:
                wait_s = self.poll()
            except Exception as error:  # noqa: BLE001  our bug; the fallback or the last rules go on deciding
                diagnostics.internal_error("sampling", error)
                wait_s = RULES_EVERY_S

    # ---- the two operations ------------------------------------------------------------------------------------------

    def _refresh(self, now: float) -> None:
        try:
            records = self._client.rules()
        except Unavailable as unavailable:
            first, longest = _AWAY_S if unavailable.offered else _MISSING_S
            self._wait_s = min(max(first, self._wait_s * 2), longest)
            self._rules_due = now + self._wait_s + self._jitter.random() * RULES_JITTER_S
            if self._rules is not None:
                diagnostics.warn("sampling rules", f"sampling rules cannot be refreshed: {unavailable}")
                if now - self._loaded_at > RULES_LIVE_S:
                    self._rules = None
            return
        self._wait_s = 0.0
        definitions = read(records)
        self._rules = Rules(definitions, self._process(), self._rules) if definitions else None
        self._loaded_at = now
        self._rules_due = now + RULES_EVERY_S + self._jitter.random() * RULES_JITTER_S
        if self._targets_due == 0.0:
            self._targets_due = self._next_targets(now)

    def _next_targets(self, now: float) -> float:
        return now + TARGETS_EVERY_S + self._jitter.random() * TARGETS_JITTER_S

    def _report(self, rules: Rules, now: float) -> None:
        self._targets_due = self._next_targets(now)
        used = [rule for rule in rules.rules if rule.requests and now >= rule.next_report]
        for first in range(0, len(used), MAX_DOCUMENTS):
            some = used[first : first + MAX_DOCUMENTS]
            counted = [(rule, rule.requests, rule.sampled, rule.borrowed) for rule in some]
            for rule, requests, sampled, borrowed in counted:
                rule.requests -= requests
                rule.sampled -= sampled
                rule.borrowed -= borrowed
            boosts = [_boost_statistics(rule, now, self._process()) for rule in some if _is_boosted(rule)]
            try:
                answer = self._client.targets(
                    [self._statistics(rule, now, *counts) for rule, *counts in counted], boosts
                )
            except Unavailable:
                for rule, requests, sampled, borrowed in counted:
                    rule.requests += requests
                    rule.sampled += sampled
                    rule.borrowed += borrowed
                for boost in boosts:
                    _give_back(boost, rules)
                return
            self._apply(answer, rules, now)

    def _statistics(self, rule: Rule, now: float, requests: int, sampled: int, borrowed: int) -> dict[str, Any]:
        return {
            "RuleName": rule.name,
            "ClientID": self._client_id,
            "Timestamp": now,
            "RequestCount": requests,
            "SampledCount": sampled,
            "BorrowCount": borrowed,
        }

    def _apply(self, answer: dict[str, Any], rules: Rules, now: float) -> None:
        targets = answer.get("SamplingTargetDocuments")
        for target in targets if isinstance(targets, list) else ():
            rule = rules.get(str(target.get("RuleName", ""))) if isinstance(target, dict) else None
            if rule is None:
                continue
            quota, until = _number(target.get("ReservoirQuota")), _number(target.get("ReservoirQuotaTTL"))
            rule.lend(_number(target.get("FixedRate")), None if quota is None else int(quota), until)
            interval = _number(target.get("Interval"))
            rule.next_report = now + min(interval, RULES_EVERY_S) if interval else 0.0
            boost = target.get("SamplingBoost")
            if isinstance(boost, dict):
                rate, boosted_until = _number(boost.get("BoostRate")), _number(boost.get("BoostRateTTL"))
                if rate is not None and boosted_until is not None:
                    rule.boost(rate, boosted_until)
        changed = _number(answer.get("LastRuleModification"))
        if changed is not None and changed > self._loaded_at:
            self._rules_due = now


def _is_boosted(rule: Rule) -> bool:
    return rule.definition.sampling_rate_boost is not None


def _boost_statistics(rule: Rule, now: float, process: Process) -> dict[str, Any]:
    total, anomalies, sampled = rule.total, rule.anomalies, rule.sampled_anomalies
    rule.total -= total
    rule.anomalies -= anomalies
    rule.sampled_anomalies -= sampled
    return {
        "RuleName": rule.name,
        "ServiceName": process.service_name,
        "Timestamp": now,
        "AnomalyCount": anomalies,
        "TotalCount": total,
        "SampledAnomalyCount": sampled,
    }


def _give_back(boost: dict[str, Any], rules: Rules) -> None:
    rule = rules.get(boost["RuleName"])
    if rule is not None:
        rule.total += boost["TotalCount"]
        rule.anomalies += boost["AnomalyCount"]
        rule.sampled_anomalies += boost["SampledAnomalyCount"]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
