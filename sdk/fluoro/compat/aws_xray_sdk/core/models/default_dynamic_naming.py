from __future__ import annotations

from fluoro.compat.aws_xray_sdk.core.utils.search_pattern import wildcard_match


class DefaultDynamicNaming:
    """A segment is named after the host it was asked for, if that fits `pattern` (`*`, `?`); otherwise `fallback`."""

    def __init__(self, pattern: str, fallback: str | None) -> None:
        self._pattern = pattern
        self._fallback = fallback

    @property
    def pattern(self) -> str:
        return self._pattern

    def get_name(self, host_name: str | None) -> str | None:
        return host_name if wildcard_match(self._pattern, host_name) else self._fallback
