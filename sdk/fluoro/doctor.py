"""`fluoro doctor`: what would be traced here and what would not, why, and whether the collector answers.

It finds out by doing it: installs the patches, imports every library of the table that is installed, and sends a trace.
"""

from __future__ import annotations

import platform
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple
from urllib.parse import urlsplit

from fluoro import __version__, activation, instrument, settings
from fluoro.api import current_trace_id, flush, span, statistics
from fluoro.instrument import Target
from fluoro.otel import discovery
from fluoro.otel.instrumentors import Foreign, covering
from fluoro.recorder import recorder

_ANSWER_S = 5.0
_DASHBOARD_PORT = 8501
# Each of these traces by itself; two tracers in one process pay twice and may fight over the same patch.
_OTHER_TRACERS = {"ddtrace": "ddtrace", "newrelic": "New Relic", "elasticapm": "Elastic APM", "sentry_sdk": "Sentry"}


class Finding(NamedTuple):
    """One library: `version` is "" when it is not installed, `state` is "traced" or why it is not."""

    library: str
    version: str
    state: str


def run(environ: Mapping[str, str]) -> int:
    """Print the report; 0 when tracing is on and the collector took the trace, else 1. SettingsError as `fluoro run`."""
    chosen = settings.Settings.from_env(environ)
    instrument.check_names(chosen.disabled)
    _say(f"fluoro {__version__}, Python {platform.python_version()} ({sys.executable})")
    if not chosen.enabled:
        _say(
            "tracing is OFF: FLUORO_ENABLED, AWS_XRAY_SDK_ENABLED or OTEL_SDK_DISABLED says so; nothing would be patched"
        )
        return 1
    unnamed = chosen.service_name == settings.program_name(sys.argv)
    named = "named after the program (FLUORO_SERVICE_NAME is not set)" if unnamed else repr(chosen.service_name)
    _say(f"service {named}, collector {chosen.endpoint}")
    activation.install(chosen)
    _libraries(environ)
    return _collector(chosen.endpoint)


def _libraries(environ: Mapping[str, str]) -> None:
    found = list(findings())
    present = [finding for finding in found if finding.version]
    _say("\nlibraries")
    widest = max(len(finding.library) for finding in present)
    for finding in present:
        _say(f"  {finding.library:<{widest}}  {finding.version:<12}  {finding.state}")
    absent = sorted(finding.library for finding in found if not finding.version)
    if absent:
        _say(f"  not installed here: {', '.join(absent)}")
    for module, name in _OTHER_TRACERS.items():
        if _exists(module):
            _say(f"  NOTE {name} is installed: if it traces this program too, every call is paid for twice")
    if "PYTHONPATH" in environ and "sitecustomize" in sys.modules:
        _say(
            f"  NOTE another sitecustomize runs at each start: {getattr(sys.modules['sitecustomize'], '__file__', '?')}"
        )


def findings() -> Iterator[Finding]:
    """Each library of the table once: its rows are one library's, and the worst row counts."""
    rows: dict[str, list[Target]] = {}
    for target in instrument.TABLE:
        rows.setdefault(target.name, []).append(target)
    for name, targets in rows.items():
        installed = [(target, text) for target in targets if (text := _version(target))]
        states = [_try(target) for target, _ in installed]
        several = len({target.distribution for target, _ in installed}) > 1
        versions = dict.fromkeys(
            f"{target.distribution} {text}".strip() if several else text for target, text in installed
        )
        yield Finding(name, ", ".join(versions), next((state for state in states if state != "patched"), "traced"))
    for found in discovery.installed(sys.path):
        if found.modules and not covering(found, instrument.TABLE):
            target = Foreign(found, found.modules[0])
            state = _try(target)
            text = next((text for each in found.instruments if (text := _installed(each))), "Python's own")
            yield Finding(found.name, text, "traced by OpenTelemetry's package" if state == "patched" else state)


def _version(target: Target) -> str:
    """The installed version; "Python's own"; or "" when there is none."""
    if not target.distribution:
        return "Python's own" if _exists(target.module) else ""
    return _installed(target.distribution) or ("unknown" if _exists(target.module) else "")


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # what it lies in does not exist, or has no spec
        return False


def _try(target: Target) -> str:
    state = instrument.register.get(target.key)
    if state is None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import_module(target.module)
        except Exception as error:  # noqa: BLE001  a broken installation is a finding
            return f"NOT traced: it cannot be imported ({type(error).__name__}: {error})"
        state = instrument.register.get(target.key, "its import went past fluoro")
    if state == "patched":
        return state
    return "not traced: FLUORO_DISABLE names it" if state == "disabled" else f"NOT traced: {state}"


def _collector(endpoint: str) -> int:
    _say("\ncollector")
    began = time.monotonic()
    with recorder.begin_segment("fluoro doctor"):
        trace_id = current_trace_id()
        with span("is anybody there?"):
            pass
    answered = flush(_ANSWER_S)
    took_ms = (time.monotonic() - began) * 1000
    counters = statistics()
    if not answered or counters["sent"] < 2:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in counters["dropped"].items())
        _say(f"  {endpoint} did NOT take a test trace{f' ({reasons})' if reasons else ''}")
        _say("  Start one with `fluoro serve`, or say where it is: FLUORO_ENDPOINT=http://collector:4318")
        return 1
    if endpoint.startswith("udp:"):
        _say(f"  a test trace was sent to {endpoint}; UDP does not say whether anybody took it")
    else:
        _say(f"  {endpoint} took a test trace after {took_ms:.0f} ms")
    host = urlsplit(endpoint).hostname or "127.0.0.1"
    _say(f"  look at it: http://{host}:{_DASHBOARD_PORT}/trace?id={trace_id} (where `fluoro dashboard` runs)")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
