"""Loaded by `opentelemetry-instrument` before it starts the program: choose fluoro when nobody chose anything.

Two distros may be installed, and that program takes the first that the file system lists. Whoever says where
OpenTelemetry's own exporters send has chosen already, and keeps them.
"""

from __future__ import annotations

import os
import sys

from fluoro.errors import SettingsError
from fluoro.switch import is_enabled

_CHOICES = (
    "CONFIGURATOR",
    "DISTRO",
    "EXPORTER_OTLP_ENDPOINT",
    "EXPORTER_OTLP_TRACES_ENDPOINT",
    "TRACER_PROVIDER",
    "TRACES_EXPORTER",
)


def _choose() -> None:
    for choice in _CHOICES:
        if f"OTEL_{choice}" in os.environ or f"OTEL_PYTHON_{choice}" in os.environ:
            return
        # Its options are these variables without the prefix, and are read after this.
        if any(argument.startswith(f"--{choice.lower()}") for argument in sys.argv):
            return
    try:
        enabled = is_enabled()
    except SettingsError:  # said in the program itself
        return
    if enabled:
        os.environ["OTEL_PYTHON_DISTRO"] = os.environ["OTEL_PYTHON_CONFIGURATOR"] = "fluoro"


_choose()
