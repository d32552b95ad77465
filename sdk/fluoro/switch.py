"""Whether to trace at all: read at the start of every traced process, so it imports nothing.

"Off" means that nothing is patched, not that patches do nothing.
"""

from __future__ import annotations

import os

from fluoro.errors import SettingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def is_enabled(environ: Mapping[str, str] | None = None) -> bool:
    """FLUORO_ENABLED; without it, off when the AWS X-Ray SDK or OpenTelemetry would be off. SettingsError if unreadable."""
    env = os.environ if environ is None else environ
    own = env.get("FLUORO_ENABLED", "").strip()
    if own:
        if own.lower() not in _TRUE + _FALSE:
            raise SettingsError(f"FLUORO_ENABLED is {own!r}; write true or false")
        return own.lower() in _TRUE
    if env.get("AWS_XRAY_SDK_ENABLED", "").strip().lower() in _FALSE:
        return False
    return env.get("OTEL_SDK_DISABLED", "").strip().lower() not in _TRUE


def names(text: str) -> frozenset[str]:
    """`requests, flask` as a set."""
    return frozenset(part.strip().lower() for part in text.split(",") if part.strip())
