"""Rules from a file, in the format of X-Ray's SDKs, versions 1 and 2.

    {"version": 2,
     "default": {"fixed_target": 1, "rate": 0.05},
     "rules": [{"description": "health", "host": "*", "http_method": "GET", "url_path": "/health",
                "fixed_target": 0, "rate": 0}]}

The first rule that fits decides: `fixed_target` traces a second, then the share `rate` of the rest. In version 1 `host`
is called `service_name`, and means the host as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fluoro import forks
from fluoro.errors import SettingsError
from fluoro.sampling.decision import Decision, Sampler
from fluoro.sampling.rules import Definition, Process, Rules

_PATTERNS = ("http_method", "url_path")


def load(text: str) -> list[Definition]:
    """The rules in `text`: JSON, or the path of a file with it; the default comes last. Raises SettingsError."""
    source = text
    if not text.lstrip().startswith("{"):
        try:
            source = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise _wrong(f"the file cannot be read ({error})") from None
    try:
        document = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"it is not JSON ({error})") from None
    if not isinstance(document, dict):
        raise _wrong("it is not a JSON object")
    version = document.get("version")
    if version not in (1, 2):
        raise _wrong(f"its version is {version!r}; 1 and 2 are known")
    host = "service_name" if version == 1 else "host"
    default, rules = document.get("default"), document.get("rules") or []
    if not isinstance(default, dict):
        raise _wrong("it has no default; add {'fixed_target': 1, 'rate': 0.05}")
    if any(key in default for key in (host, *_PATTERNS)):
        raise _wrong("its default has a pattern; it is what applies to the rest")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise _wrong("its rules are not a list of objects")
    found = []
    for number, rule in enumerate(rules, 1):
        patterns = [rule.get(key) for key in (host, *_PATTERNS)]
        if not all(isinstance(pattern, str) and pattern for pattern in patterns):
            raise _wrong(f"rule {number} needs all of {host}, http_method and url_path; '*' fits everything")
        found.append(_definition(rule, f"rule {number}", *patterns))
    return [*found, _definition(default, "default", "*", "*", "*")]


def sampler(definitions: list[Definition], clock: Callable[[], float] = time.time) -> Sampler:
    """Decide by `definitions` alone. `clock` gives epoch seconds."""
    rules = Rules(definitions, Process(), local=True)

    def decide(trace_id: bytes, service: str, operation: str, method: str, url: str) -> Decision:  # noqa: ARG001
        rule = rules.match(service, method, url) or rules.rules[-1]
        return rule.decide(trace_id, clock())

    def renew() -> None:
        nonlocal rules
        rules = Rules(definitions, Process(), local=True)

    forks.in_child(renew)
    return decide


def _definition(rule: dict[str, Any], where: str, host: Any, method: Any, path: Any) -> Definition:
    target, rate = rule.get("fixed_target"), rule.get("rate")
    if not isinstance(target, int) or isinstance(target, bool) or target < 0:
        raise _wrong(f"fixed_target of {where} is {target!r}; write traces a second, 0 or more")
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 0 <= rate <= 1:
        raise _wrong(f"rate of {where} is {rate!r}; write a share from 0 to 1")
    return Definition(
        rule_name=where, fixed_rate=float(rate), reservoir_size=target, host=host, http_method=method, url_path=path
    )


def _wrong(what: str) -> SettingsError:
    return SettingsError(
        f"FLUORO_SAMPLING_RULES: {what}. Write JSON, or the path of a JSON file, of X-Ray's local rules"
    )
