from __future__ import annotations

import json
from typing import Any

from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import InvalidSamplingManifestError
from fluoro.errors import SettingsError
from fluoro.recorder import new_trace_id
from fluoro.sampling import local

local_sampling_rule: dict[str, Any] = {"version": 2, "default": {"fixed_target": 1, "rate": 0.05}, "rules": []}


class LocalSampler:
    """Decides by local rules alone, nobody is asked. `rules` as in X-Ray's documentation, version 1 or 2."""

    def __init__(self, rules: dict[str, Any] = local_sampling_rule) -> None:
        self.load_local_rules(rules)

    def load_local_rules(self, rules: dict[str, Any]) -> None:
        check(rules)
        self._decide = local.sampler(local.load(json.dumps(rules)))

    def should_trace(self, sampling_req: dict[str, Any] | None = None) -> bool:
        """Of a request {host, method, path, service}; what is not known fits only `*`."""
        known = sampling_req or {}
        host, path = known.get("host") or "", known.get("path") or ""
        url = f"http://{host}{path}" if host or path else ""
        return self._decide(new_trace_id(), known.get("service") or "", "", known.get("method") or "", url).sampled


def check(rules: dict[str, Any]) -> None:
    """Raises InvalidSamplingManifestError for rules that cannot work."""
    try:
        local.load(json.dumps(rules))
    except SettingsError as error:
        raise InvalidSamplingManifestError(str(error)) from None
