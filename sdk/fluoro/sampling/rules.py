"""X-Ray's sampling rules: what they say, which one a new trace falls under, and what that rule decides.

A rule records the first so many traces of each second (its reservoir), and of the rest a share (its fixed rate). The
service lends this process a part of the reservoir, the quota; until it has, one trace a second is borrowed.

Nothing here takes a lock: a signal handler may begin a trace in the middle of a decision. The counters are changed by
single statements without a call in them, which threads under the GIL do not cut apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fluoro.sampling.decision import Decision
from fluoro.sampling.matching import Matcher, folded, matcher

_SPACE = 1 << 56  # as in `ratio`: the last seven bytes of a trace id are random
_FOR_EVER = float("inf")

# OpenTelemetry's names for what is known of a request when its trace begins.
_METHOD = frozenset({"http.method", "http.request.method"})
_PATH = frozenset({"url.path", "http.target"})
_HOST = frozenset({"server.address", "http.host"})
_URL = frozenset({"http.url", "url.full"})


class Boost(msgspec.Struct, rename="pascal"):
    max_rate: float
    cooldown_window_minutes: int = 0


class Definition(msgspec.Struct, rename="pascal"):
    """A rule as the service sends it. Patterns: `*` and `?`. A lower priority is asked first."""

    rule_name: str = ""
    priority: int = 10_000
    fixed_rate: float = 0.05
    reservoir_size: int = 0
    service_name: str = "*"
    service_type: str = "*"
    host: str = "*"
    http_method: str = msgspec.field(name="HTTPMethod", default="*")
    url_path: str = msgspec.field(name="URLPath", default="*")
    resource_arn: str = msgspec.field(name="ResourceARN", default="*")
    version: int = 1
    attributes: dict[str, str] | None = None
    sampling_rate_boost: Boost | None = None


class Process(msgspec.Struct, frozen=True):
    """What rules ask that is the same for all traces of this process. `attributes` are the resource's."""

    service_name: str = ""
    service_type: str = ""
    resource_arn: str = ""
    attributes: Mapping[str, Any] = {}


class Rule:
    """One rule at work. `quota` per second is valid until `quota_until`; all times are epoch seconds."""

    __slots__ = (
        "_boost_limit",
        "_checks",
        "_leave",
        "_limit",
        "_second",
        "_service",
        "_take",
        "_taken",
        "anomalies",
        "boost_until",
        "borrowed",
        "definition",
        "next_report",
        "quota",
        "quota_until",
        "requests",
        "sampled",
        "sampled_anomalies",
        "total",
    )

    def __init__(self, definition: Definition, process: Process, *, local: bool = False) -> None:
        """`local`: the whole reservoir is this process's own."""
        self.definition = definition
        self._service = matcher(definition.service_name)
        self._checks = _checks(definition, process)
        name = "" if local else definition.rule_name
        counted = definition.sampling_rate_boost is not None
        self._take = Decision(True, name, self._anomaly_recorded if counted else None)
        self._leave = Decision(False, name, self._anomaly if counted else None)
        self._limit = self._boost_limit = int(definition.fixed_rate * _SPACE)
        self.boost_until = 0.0
        self.quota = definition.reservoir_size if local else 0
        self.quota_until = _FOR_EVER if local else 0.0
        self._second = self._taken = 0
        self.requests = self.sampled = self.borrowed = 0
        self.total = self.anomalies = self.sampled_anomalies = 0
        self.next_report = 0.0

    @property
    def name(self) -> str:
        return self.definition.rule_name

    def matches(self, service: str, host: str, method: str, path: str, url: str) -> bool:
        """All of it folded."""
        if self._service is not None and not self._service(service):
            return False
        checks = self._checks
        if checks is None:
            return False
        if checks:
            known = (host, method, path, url)
            for which, check in checks:
                if not check(known[which]):
                    return False
        return True

    @property
    def asks_place(self) -> bool:
        """Whether it looks at more than the service."""
        return bool(self._checks)

    @property
    def takes_all(self) -> bool:
        return self._service is None and self._checks == []

    def decide(self, trace_id: bytes, now: float) -> Decision:
        """Count a trace that fell under this rule at `now`, and say whether it is recorded."""
        second = int(now)
        borrowing = now > self.quota_until
        places = self.quota if not borrowing else 1 if self.definition.reservoir_size > 0 else 0
        random = int.from_bytes(trace_id[9:], "big")
        # From here on no call: see the module's docstring.
        self.requests += 1
        self.total += 1
        if second != self._second:
            self._second = second
            self._taken = 0
        if self._taken < places:
            self._taken += 1
            if borrowing:
                self.borrowed += 1
            else:
                self.sampled += 1
            return self._take
        if random < (self._limit if now > self.boost_until else self._boost_limit):
            self.sampled += 1
            return self._take
        return self._leave

    def lend(self, fixed_rate: float | None, quota: int | None, until: float | None) -> None:
        """What the service grants, in an answer to our report; None where it says nothing."""
        if fixed_rate is not None:
            self._limit = int(min(max(fixed_rate, 0.0), 1.0) * _SPACE)
        if quota is not None and until is not None:
            self.quota = quota
            self.quota_until = until

    def boost(self, rate: float, until: float) -> None:
        """Until `until` (epoch s) `rate` takes the place of the fixed rate, at most the rule's own maximum."""
        allowed = self.definition.sampling_rate_boost
        if allowed is not None:
            self._boost_limit = int(min(max(rate, 0.0), allowed.max_rate, 1.0) * _SPACE)
            self.boost_until = until

    def keep(self, before: Rule) -> None:
        """Go on where `before`, the same rule before a refresh, has been."""
        self._second, self._taken = before._second, before._taken
        self.requests, self.sampled, self.borrowed = before.requests, before.sampled, before.borrowed
        self.total, self.anomalies = before.total, before.anomalies
        self.sampled_anomalies = before.sampled_anomalies
        self.quota, self.quota_until = before.quota, before.quota_until
        self._boost_limit, self.boost_until = before._boost_limit, before.boost_until
        self.next_report = before.next_report

    def _anomaly(self) -> None:
        self.anomalies += 1

    def _anomaly_recorded(self) -> None:
        self.anomalies += 1
        self.sampled_anomalies += 1


class Rules:
    """All rules, in the order in which they are asked: by priority, then by name."""

    def __init__(
        self, definitions: Iterable[Definition], process: Process, before: Rules | None = None, *, local: bool = False
    ) -> None:
        """`before`: rules that are the same go on counting where they were."""
        self._process = process
        ordered = list(definitions)
        if not local:
            ordered.sort(key=lambda definition: (definition.priority, definition.rule_name))
        self.rules = [Rule(definition, process, local=local) for definition in ordered]
        self._by_name = {rule.name: rule for rule in self.rules}
        self._asks_place = any(rule.asks_place for rule in self.rules)
        self._only = self.rules[0] if self.rules and self.rules[0].takes_all else None
        for rule in self.rules:
            earlier = before.get(rule.name) if before is not None else None
            if earlier is not None:
                rule.keep(earlier)

    def get(self, name: str) -> Rule | None:
        return self._by_name.get(name)

    def match(self, service: str, method: str, url: str) -> Rule | None:
        """The first rule that the entry falls under. What is not known ("") matches only `*`."""
        if self._only is not None:
            return self._only
        service = folded(service)
        host = path = ""
        if self._asks_place:
            url, method = folded(url), folded(method)
            host, path = place(url)
        for rule in self.rules:
            if rule.matches(service, host, method, path, url):
                return rule
        return None

    def anew(self) -> Rules:
        """The same rules with nothing counted or lent: for a forked child."""
        return Rules([rule.definition for rule in self.rules], self._process)


def read(records: Iterable[Any]) -> list[Definition]:
    """The usable rules among `SamplingRuleRecords`. A rule of another version, or one that cannot be read, is left out,
    as X-Ray's clients do.
    """
    found = []
    for record in records:
        try:
            definition = msgspec.convert(record["SamplingRule"], Definition, strict=False)
        except (msgspec.ValidationError, KeyError, TypeError):
            continue
        if definition.version == 1 and definition.rule_name and definition.reservoir_size >= 0:
            definition.fixed_rate = min(max(definition.fixed_rate, 0.0), 1.0)
            found.append(definition)
    return found


def place(url: str) -> tuple[str, str]:
    """Host (without port) and path (without query) of an absolute URL; "" for what it does not have."""
    _, separator, rest = url.partition("://")
    if not separator:
        return "", ""
    authority, slash, path = rest.partition("?")[0].partition("/")
    host, colon, port = authority.rpartition(":")
    return (host if colon and port.isdigit() else authority), slash + path


_SITES = {**dict.fromkeys(_HOST, 0), **dict.fromkeys(_METHOD, 1), **dict.fromkeys(_PATH, 2), **dict.fromkeys(_URL, 3)}


def _checks(definition: Definition, process: Process) -> list[tuple[int, Matcher]] | None:
    """What is left to ask for each trace, as (index into host, method, path, url; matcher). None: it can never match."""
    checks = []
    for pattern, value in (
        (definition.service_type, process.service_type),
        (definition.resource_arn, process.resource_arn),
    ):
        fits = matcher(pattern)
        if fits is not None and not fits(folded(value)):
            return None
    for which, pattern in enumerate((definition.host, definition.http_method, definition.url_path)):
        fits = matcher(pattern)
        if fits is not None:
            checks.append((which, fits))
    for key, pattern in (definition.attributes or {}).items():
        fits = matcher(pattern)
        site = _SITES.get(key)
        if site is not None:
            checks.append((site, fits or bool))
        elif key not in process.attributes or (fits is not None and not fits(folded(str(process.attributes[key])))):
            return None
    return checks
