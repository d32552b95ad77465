from __future__ import annotations

import json
from typing import Any

from fluoro.compat.aws_xray_sdk import global_sdk_config
from fluoro.compat.aws_xray_sdk.core._choices import choices, own_decision
from fluoro.compat.aws_xray_sdk.core.sampling.local.sampler import check


class DefaultSampler:
    """Fluoro's sampling: the service's rules, without them local ones, without those FLUORO_SAMPLE_RATE."""

    def should_trace(self, sampling_req: dict[str, Any] | None = None) -> bool | str:
        """The name of the rule that said yes, True, or False."""
        if not global_sdk_config.sdk_enabled():
            return False
        choices.start()
        known = {key: str((sampling_req or {}).get(key) or "") for key in ("service", "host", "method", "path")}
        return own_decision(**known)

    def load_local_rules(self, rules: dict[str, Any]) -> None:
        """What decides where the service has no rules. Raises InvalidSamplingManifestError."""
        check(rules)
        choices.variables["FLUORO_SAMPLING_RULES"] = json.dumps(rules)
        choices.changed()
