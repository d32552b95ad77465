"""Installed instrumentors are run on our provider, those of libraries we trace ourselves are not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

import fluoro
from fluoro import diagnostics, instrument
from fluoro.errors import SettingsError
from fluoro.otel import instrumentors
from fluoro.otel.discovery import Instrumentor
from fluoro.otel.instrumentors import covering

LIBRARY = """
def call():
    return 7
"""
INSTRUMENTOR = """
import {library}
from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

class Instrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return {requirement}

    def _instrument(self, **kwargs):
        {action}
        tracer = trace.get_tracer("opentelemetry.instrumentation.{library}")
        self.original = original = {library}.call
        def call():
            with tracer.start_as_current_span("call"):
                return original()
        {library}.call = call

    def _uninstrument(self, **kwargs):
        {library}.call = self.original
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install a library and an instrumentor for it."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make(library: str, *, requirement: str = "", action: str = "pass") -> None:
        (tmp_path / f"{library}.py").write_text(LIBRARY)
        needs = (requirement,) if requirement else ()
        text = INSTRUMENTOR.format(library=library, requirement=needs, action=action)
        (tmp_path / f"otel_{library}.py").write_text(text)
        for name, files, entries, requires in (
            (library, f"{library}.py,,\n", "", ""),
            (
                f"otel_{library}",
                "",
                f"[opentelemetry_instrumentor]\n{library} = otel_{library}:Instrumentor\n",
                f"Requires-Dist: {requirement or library}; extra == 'instruments'\n",
            ),
        ):
            metadata = tmp_path / f"{name}-1.0.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}")
            (metadata / "RECORD").write_text(files)
            (metadata / "entry_points.txt").write_text(entries)

    yield make
    instrument.uninstall()
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(diagnostics, "warn", lambda _kind, message, **_: said.append(message))
    return said


def test_it_runs_when_its_library_is_imported_and_is_undone(otel, make):
    make("fastlib")
    instrument.install((), lambda: True)
    assert "otel:fastlib" not in instrument.register
    assert "otel_fastlib" not in sys.modules
    fastlib = importlib.import_module("fastlib")
    assert instrument.register["otel:fastlib"] == "patched"
    with fluoro.span("outer"):
        assert fastlib.call() == 7
    call, outer = otel.take(2)
    assert (call.name, call.parent_id) == ("call", outer.id)
    instrument.uninstall()
    assert fastlib.call() == 7
    assert otel.take() == []


def test_a_library_that_was_imported_before_is_instrumented_at_once(otel, make):
    make("earlylib")
    importlib.invalidate_caches()
    earlylib = importlib.import_module("earlylib")
    instrument.install((), lambda: True)
    assert earlylib.call() == 7
    assert otel.one().operation == "call"


@pytest.mark.parametrize(
    ("disabled", "variable", "reason"),
    [
        (("sloth_lib",), "", "disabled"),
        (("opentelemetry",), "", "disabled"),
        ((), "other, sloth_lib", "disabled by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"),
        ((), "*", "disabled by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"),
    ],
)
def test_switched_off(otel, make, monkeypatch, disabled, variable, reason):
    make("sloth_lib")
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", variable)
    instrument.install(disabled, lambda: True)
    assert importlib.import_module("sloth_lib").call() == 7
    assert instrument.register["otel:sloth_lib"] == reason
    assert "otel_sloth_lib" not in sys.modules


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"action": "raise LookupError('no such hook')"}, "LookupError: no such hook"),
        ({"requirement": "badlib>=2"}, "badlib>=2"),
    ],
    ids=["it fails", "another version"],
)
def test_one_that_cannot_work_leaves_the_library_alone_and_is_said_once(otel, make, warnings, changes, reason):
    make("badlib", **changes)
    instrument.install((), lambda: True)
    assert importlib.import_module("badlib").call() == 7
    assert reason in instrument.register["otel:badlib"]
    [said] = warnings
    assert said.startswith("badlib is not traced by its OpenTelemetry instrumentor: ")


def test_nothing_is_run_for_a_provider_of_the_applications_own(otel, make, warnings, monkeypatch):
    from opentelemetry import trace

    class Own(trace.NoOpTracerProvider):
        pass

    make("ownlib")
    instrument.install((), lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr(trace, "_TRACER_PROVIDER", Own())
        importlib.import_module("ownlib")
    assert "OpenTelemetry spans go to" in instrument.register["otel:ownlib"]
    assert any("test_otel_instrumentors.Own" in said for said in warnings)


def test_a_name_nobody_knows_is_a_mistake_and_one_of_an_instrumentor_is_not(make):
    make("somelib")
    with pytest.raises(SettingsError, match="nobody"):
        instrument.check_names({"nobody"})
    instrument.check_names({"somelib", "pika", "requests"})


def test_every_instrumentor_of_what_we_trace_is_ours():
    """Contrib's names and distributions differ from ours here and there."""
    cases = {
        "aiobotocore": ("aiobotocore",),
        "boto3": ("boto3",),
        "botocore": ("botocore",),
        "fastapi": ("fastapi",),
        "flask": ("flask",),
        "httpx": ("httpx",),
        "requests": ("requests",),
        "sqlalchemy": ("sqlalchemy",),
        "sqlite3": (),
        "starlette": ("starlette",),
        "threading": (),
        "urllib": (),
        "urllib3": ("urllib3",),
    }
    missing = [
        name
        for name, distributions in cases.items()
        if not covering(Instrumentor(name, "", distributions, ()), instrument.TABLE)
    ]
    assert missing == []
    assert not covering(Instrumentor("pika", "", ("pika",), ()), instrument.TABLE)
    assert not covering(Instrumentor("httpx2", "", ("httpx2",), ()), instrument.TABLE)


# --- with what is installed here: opentelemetry-instrumentation-jinja2 and -requests ---


def test_jinja2(otel):
    instrument.install((), lambda: True)
    try:
        jinja2 = importlib.import_module("jinja2")
        assert instrument.register["otel:jinja2"] == "patched"
        with fluoro.span("page"):
            assert jinja2.Environment(autoescape=True).from_string("{{ n }}").render(n=7) == "7"
    finally:
        instrument.uninstall()
    *steps, page = otel.take(3)
    assert [step.name for step in steps] == ["jinja2.compile", "jinja2.render"]
    assert {step.parent_id for step in steps} == {page.id}


def served(adapter_calls: list[dict[str, str]]) -> requests.Session:
    """A session that is answered without a network."""

    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request, **_kwargs):
            adapter_calls.append(dict(request.headers))
            answer = requests.Response()
            answer.status_code, answer.request, answer.url = 200, request, request.url
            return answer

        def close(self) -> None:
            pass

    session = requests.Session()
    session.mount("http://", Adapter())
    return session


def test_requests_is_ours_also_when_the_application_asks_for_the_other_one(otel, warnings):
    instrument.install((), lambda: True)
    try:
        assert instrument.register["otel:requests"] == "fluoro traces it itself"
        from opentelemetry.instrumentation.requests import RequestsInstrumentor

        RequestsInstrumentor().instrument()
        RequestsInstrumentor().instrument()
        assert not RequestsInstrumentor().is_instrumented_by_opentelemetry
        served([]).get("http://payment/pay")
    finally:
        instrument.uninstall()
    assert otel.one().name == "payment"
    assert warnings[0] == (
        "RequestsInstrumentor does nothing: fluoro traces it itself. To use it instead: FLUORO_DISABLE=requests"
    )


def test_the_application_may_run_it_where_ours_is_disabled(otel):
    instrument.install(("requests",), lambda: True)
    calls: list[dict[str, str]] = []
    try:
        from opentelemetry.instrumentation.requests import RequestsInstrumentor

        RequestsInstrumentor().instrument()
        served(calls).get("http://payment/pay")
        RequestsInstrumentor().uninstrument()
    finally:
        instrument.uninstall()
    call = otel.one()
    assert (call.name, call.metadata["otel"]["scope.name"]) == ("payment", "opentelemetry.instrumentation.requests")
    [headers] = calls
    assert f"Parent={call.id:016x}" in headers["X-Amzn-Trace-Id"]


def test_uninstrumenting_what_fails_is_said(otel, warnings, monkeypatch):
    class Stubborn:
        def uninstrument(self) -> None:
            raise LookupError("stuck")

    monkeypatch.setitem(instrumentors._running, "x", Stubborn())
    instrumentors.stop()
    assert warnings == ["LookupError: stuck"]
