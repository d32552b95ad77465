"""`fluoro doctor` in a process of its own, with the libraries that are installed here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

import batch_sink
from batch_sink import BatchSink
from fluoro import instrument
from fluoro.run import BOOTSTRAP


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


def doctor(**env: str) -> tuple[int, str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("FLUORO_", "OTEL_"))}
    done = subprocess.run(
        [sys.executable, "-m", "fluoro", "doctor"],
        env=plain | {"PYTHONPATH": str(BOOTSTRAP.parents[1])} | env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def lines(output: str) -> dict[str, str]:
    """library → what is said of it."""
    found = (re.fullmatch(r"  (\S+) +(.+?)  +(.+)", line) for line in output.splitlines())
    return {match[1]: match[3] for match in found if match}


def test_everything_is_traced_and_the_collector_answers(sink: BatchSink) -> None:
    code, output, errors = doctor(FLUORO_ENDPOINT=sink.url, FLUORO_SERVICE_NAME="shop")
    assert (code, errors) == (0, "")
    said = lines(output)
    assert said.pop("jinja2") == "traced by OpenTelemetry's package"
    if find_spec("MySQLdb") is None:  # the only one that a development environment may lack
        said["mysqlclient"] = "traced"
    assert set(said) == {target.name for target in instrument.TABLE}
    assert set(said.values()) == {"traced"}
    (trace_id,) = {segment.trace_id.hex() for segment in sink.segments}
    assert f"http://127.0.0.1:8501/trace?id=1-{trace_id[:8]}-{trace_id[8:]}" in output
    assert sink.batches[0].resource.service_name == "shop"
    assert len(sink.segments) == 2


def test_what_is_not_traced_says_why_and_a_silent_collector_what_to_do() -> None:
    code, output, _ = doctor(FLUORO_ENDPOINT="http://127.0.0.1:9", FLUORO_DISABLE="flask")
    assert code == 1
    assert lines(output)["flask"] == "not traced: FLUORO_DISABLE names it"
    assert "http://127.0.0.1:9 did NOT take a test trace" in output
    assert "fluoro serve" in output


def test_switched_off_and_misspelt_settings_are_said() -> None:
    code, output, _ = doctor(AWS_XRAY_SDK_ENABLED="false")
    assert code == 1
    assert "tracing is OFF" in output
    code, _, errors = doctor(FLUORO_DISABLE="flaks")
    assert code == 2
    assert "flaks" in errors
