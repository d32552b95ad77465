"""The Django setting XRAY_RECORDER: a dict with some of `DEFAULTS`'s keys. The environment wins over it."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings as django_settings
from django.test.signals import setting_changed

XRAY_NAMESPACE = "XRAY_RECORDER"
SUPPORTED_ENV_VARS = ("AWS_XRAY_DAEMON_ADDRESS", "AWS_XRAY_CONTEXT_MISSING", "AWS_XRAY_TRACING_NAME")

DEFAULTS: dict[str, Any] = {
    "AWS_XRAY_DAEMON_ADDRESS": None,  # then segments go where FLUORO_ENDPOINT says
    "AUTO_INSTRUMENT": True,
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "PLUGINS": None,
    "SAMPLING": True,
    "SAMPLING_RULES": None,
    "SAMPLER": None,
    "AWS_XRAY_TRACING_NAME": None,
    "DYNAMIC_NAMING": None,
    "STREAMING_THRESHOLD": None,
    "MAX_TRACE_BACK": None,
    "STREAM_SQL": True,
    "PATCH_MODULES": [],
    "AUTO_PATCH_PARENT_SEGMENT_NAME": None,
    "IGNORE_MODULE_PATTERNS": [],
    "URLS_AS_ANNOTATION": "LAMBDA",  # "ALL" does; "NONE" and, outside of AWS Lambda, "LAMBDA" do not
}


class XRaySettings:
    """Attributes are the keys."""

    def __init__(self, user_settings: dict[str, Any] | None = None) -> None:
        self.defaults = DEFAULTS
        self._said = user_settings

    @property
    def user_settings(self) -> dict[str, Any]:
        if self._said is None:
            self._said = getattr(django_settings, XRAY_NAMESPACE, {})
        return self._said

    def __getattr__(self, attr: str) -> Any:
        if attr not in DEFAULTS:
            raise AttributeError(f"Invalid setting: {attr}")
        said = self.user_settings.get(attr)
        value = DEFAULTS[attr] if said is None else said
        return os.environ.get(attr, value) if attr in SUPPORTED_ENV_VARS else value


settings = XRaySettings()


def reload_settings(*_: Any, **kwargs: Any) -> None:
    """Django's tests override settings."""
    if kwargs["setting"] == XRAY_NAMESPACE:
        settings._said = kwargs["value"]  # noqa: SLF001  other modules have bound `settings`


setting_changed.connect(reload_settings)
