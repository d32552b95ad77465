"""Sampling rules: X-Ray's form of them, and `Default`, which is always there and records everything until changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

import msgspec

from fluoro_collector.aws_names import arn
from fluoro_collector.store.configuration import Configuration

KIND = "sampling-rule"  # of the documents in `store.configuration`
DEFAULT = "Default"
LAST = 10_000  # Default's priority; others have at most 9,999
MOST = 25  # rules besides Default


class Boost(msgspec.Struct, frozen=True, rename="pascal"):
    """A higher rate, at most `max_rate`, once in so many minutes."""

    max_rate: float
    cooldown_window_minutes: int


class Definition(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`SamplingRule` of the X-Ray API. A lower priority is asked first; `reservoir_size` is traces a second."""

    rule_name: str
    rule_arn: str = msgspec.field(name="RuleARN")
    resource_arn: str = msgspec.field(name="ResourceARN", default="*")
    priority: int = LAST
    fixed_rate: float = 1.0
    reservoir_size: int = 1
    service_name: str = "*"
    service_type: str = "*"
    host: str = "*"
    http_method: str = msgspec.field(name="HTTPMethod", default="*")
    url_path: str = msgspec.field(name="URLPath", default="*")
    version: int = 1
    # Clients read it without asking whether it is there.
    attributes: dict[str, str] = {}
    sampling_rate_boost: Union[Boost, msgspec.UnsetType] = msgspec.UNSET

    @property
    def boost(self) -> Boost | None:
        return None if isinstance(self.sampling_rate_boost, msgspec.UnsetType) else self.sampling_rate_boost


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """`created` and `modified` are epoch seconds; 0 for a Default that nobody has changed."""

    definition: Definition
    tags: dict[str, str] = {}
    created: float = 0.0
    modified: float = 0.0

    @property
    def name(self) -> str:
        return self.definition.rule_name

    @property
    def arn(self) -> str:
        return self.definition.rule_arn


def rule_arn(name: str) -> str:
    return arn(KIND, name)


def every(documents: Mapping[str, dict[str, Any]]) -> list[Rule]:
    """The rules of these documents and Default, in the order in which clients ask them: by priority, then by name."""
    found = {name: msgspec.convert(document, Rule) for name, document in documents.items()}
    found.setdefault(DEFAULT, Rule(definition=Definition(rule_name=DEFAULT, rule_arn=rule_arn(DEFAULT))))
    return sorted(found.values(), key=lambda rule: (rule.definition.priority, rule.name))


class Rules:
    """Thread-safe; what another collector changed shows after a few seconds. Blocks on the engine."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def all(self) -> list[Rule]:
        return every(self._configuration.all(KIND).by_name)

    def by_name(self) -> dict[str, Rule]:
        return {rule.name: rule for rule in self.all()}

    def changed(self) -> float:
        """When a rule was last made, changed or deleted, epoch seconds; 0 = never."""
        return self._configuration.all(KIND).changed / 1e9
