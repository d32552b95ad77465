"""What `opentelemetry-instrument` loads by name, so that it sets fluoro up and not OpenTelemetry's SDK.

    OTEL_PYTHON_DISTRO=fluoro OTEL_PYTHON_CONFIGURATOR=fluoro opentelemetry-instrument python app.py

Where the environment does not say which to take, and configures no exporter either, `fluoro.otel.environment_variables`
chooses these two. That program takes the first it finds when nobody chose; if that is one of these, it hands over to the
other that is installed. Only imported by that program: it needs the distribution opentelemetry-instrumentation.
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]  # mypy is told there to skip the file

from fluoro import activation

NAME = "fluoro"


class Distro(BaseDistro):  # type: ignore[misc]  # for the same reason
    """Switches tracing on as `fluoro run` does."""

    _other: Any = None

    def _configure(self, **kwargs: Any) -> None:
        self._other = _unless_chosen("distro")
        if self._other is not None:
            self._other.configure(**kwargs)
        else:
            activation.activate()

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """Nothing: each runs when its library is imported (`fluoro.otel.instrumentors`), not now, all of them."""
        if self._other is not None:
            self._other.load_instrumentor(entry_point, **kwargs)


class Configurator:
    """Takes the place of the one that would set OpenTelemetry's own provider."""

    def configure(self, **kwargs: Any) -> None:
        other = _unless_chosen("configurator")
        if other is not None:
            other.configure(**kwargs)
        else:
            activation.activate()


def _unless_chosen(what: str) -> Any:
    """Another distro or configurator that is installed, when ours was found first and not asked for by its name."""
    if os.environ.get(f"OTEL_PYTHON_{what.upper()}") == NAME:
        return None
    others = [each for each in entry_points(group=f"opentelemetry_{what}") if each.name != NAME]
    return others[0].load()() if others else None
