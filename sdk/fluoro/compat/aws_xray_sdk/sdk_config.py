"""`global_sdk_config`: tracing on or off for the process, in code. AWS_XRAY_SDK_ENABLED and FLUORO_ENABLED win."""

from __future__ import annotations

import logging
import os

from fluoro.errors import SettingsError
from fluoro.switch import is_enabled

log = logging.getLogger(__name__)


class SDKConfig:
    XRAY_ENABLED_KEY = "AWS_XRAY_SDK_ENABLED"
    DISABLED_ENTITY_NAME = "dummy"

    _said: bool | None = None

    @classmethod
    def sdk_enabled(cls) -> bool:
        """Off: entities are dummies, and `patch` does nothing."""
        if cls._said is None:
            cls._said = _environment()
        return cls._said

    @classmethod
    def set_sdk_enabled(cls, value: bool) -> None:
        """Has no effect against the environment."""
        if cls.XRAY_ENABLED_KEY in os.environ or "FLUORO_ENABLED" in os.environ:
            cls._said = _environment()
        elif isinstance(value, bool):
            cls._said = value
        else:
            cls._said = True
            log.warning("set_sdk_enabled() takes a bool, not %s; the SDK is enabled", type(value).__name__)
        from fluoro.compat.aws_xray_sdk.core._choices import choices

        choices.switch(cls._said)


def _environment() -> bool:
    try:
        return is_enabled()
    except SettingsError as error:
        log.warning("%s", error)
        return True
