"""OpenTelemetry's own ways to start end up with fluoro. Each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from fluoro import activation, distro

APP = """
import sys
from opentelemetry import context, propagate, trace
import jinja2
from fluoro import instrument
print(type(trace.get_tracer_provider()).__module__)
print(type(propagate.get_global_textmap()).__module__)
print(type(context._RUNTIME_CONTEXT).__module__)
print("opentelemetry.sdk.trace" in sys.modules)
print(instrument.register.get("otel:jinja2"))
"""
OURS = ["fluoro.otel.provider", "fluoro.otel.propagation", "fluoro.otel.context", "False", "patched"]
NOTHING = [
    "opentelemetry.trace",
    "opentelemetry.propagators.composite",
    "opentelemetry.context.contextvars_context",
    "False",
    "None",
]
BIN = Path(sys.executable).parent


def run(tmp_path: Path, *command: str, **variables: str) -> list[str]:
    (tmp_path / "app.py").write_text(APP)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        **variables,
    }
    found = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


def instrumented(tmp_path: Path, *options: str, **variables: str) -> list[str]:
    return run(tmp_path, "opentelemetry-instrument", *options, sys.executable, "app.py", **variables)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_PROPAGATORS": "xray"},
        {"OTEL_PYTHON_DISTRO": "fluoro", "OTEL_PYTHON_CONFIGURATOR": "fluoro", "OTEL_TRACES_EXPORTER": "console"},
    ],
    ids=["by itself", "xray", "chosen"],
)
def test_opentelemetry_instrument(tmp_path, variables):
    assert instrumented(tmp_path, **variables) == OURS


def test_an_exporter_that_was_configured_keeps_its_spans(tmp_path):
    assert instrumented(tmp_path, OTEL_TRACES_EXPORTER="none")[0] == "opentelemetry.sdk.trace"
    assert instrumented(tmp_path, "--traces_exporter", "none")[0] == "opentelemetry.sdk.trace"


def test_the_provider_by_its_name(tmp_path):
    assert run(tmp_path, "python", "app.py", OTEL_PYTHON_TRACER_PROVIDER="fluoro") == OURS


def test_off_is_off(tmp_path):
    named = {"OTEL_PYTHON_DISTRO": "fluoro", "OTEL_PYTHON_CONFIGURATOR": "fluoro"}
    assert run(tmp_path, "python", "app.py", OTEL_PYTHON_TRACER_PROVIDER="fluoro", FLUORO_ENABLED="no") == NOTHING
    assert instrumented(tmp_path, **named, OTEL_SDK_DISABLED="true") == NOTHING


def test_fluoro_run_and_opentelemetry_instrument_together(tmp_path):
    command = ["fluoro", "run", str(BIN / "opentelemetry-instrument"), sys.executable, "app.py"]
    assert run(tmp_path, *command, OTEL_TRACES_EXPORTER="console") == OURS


class Other:
    """Another distro and configurator."""

    calls: ClassVar[list[str]] = []

    def configure(self, **_kwargs: object) -> None:
        Other.calls.append("configure")

    def load_instrumentor(self, entry_point: str, **_kwargs: object) -> None:
        Other.calls.append(entry_point)


@pytest.mark.parametrize(("chosen", "calls"), [("", ["configure", "pika", "configure"]), ("fluoro", [])])
def test_ours_found_first_hands_over_unless_it_was_asked_for(monkeypatch, chosen, calls):
    found = [SimpleNamespace(name="fluoro"), SimpleNamespace(name="other", load=lambda: Other)]
    activated: list[bool] = []
    monkeypatch.setattr(distro, "entry_points", lambda group: found)  # noqa: ARG005  called by that name
    monkeypatch.setattr(activation, "activate", lambda: activated.append(True))
    monkeypatch.setattr(Other, "calls", [])
    for what in ("DISTRO", "CONFIGURATOR"):
        monkeypatch.setenv(f"OTEL_PYTHON_{what}", chosen)
    ours = distro.Distro()
    ours.configure()
    ours.load_instrumentor("pika")
    distro.Configurator().configure(auto_instrumentation_version="1")
    assert Other.calls == calls
    assert activated == ([True, True] if chosen else [])
