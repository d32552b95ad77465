"""`fluoro exec` with real programs, sending to a real HTTP server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import batch_sink
from batch_sink import BatchSink
from fluoro.exec import name_of
from fluoro.model import Segment
from fluoro.propagation import parse_w3c, parse_xray
from fluoro.run import BOOTSTRAP

SDK = BOOTSTRAP.parents[1]
CALLER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


def start(endpoint: str, *command: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("FLUORO_", "OTEL_"))}
    plain |= {"PYTHONPATH": str(SDK), "FLUORO_ENDPOINT": endpoint} | (env or {})
    return subprocess.Popen(
        [sys.executable, "-m", "fluoro", "exec", *command],
        env=plain,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(endpoint: str, *command: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    process = start(endpoint, *command, env=env)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def finished(sink: BatchSink) -> Segment:
    """The one finished segment; it was announced in progress before, under the same ids."""
    announced, done = sink.segments
    assert (announced.in_progress, done.in_progress) == (True, False)
    assert (announced.trace_id, announced.id, announced.end) == (done.trace_id, done.id, 0)
    return done


def test_a_program_is_one_segment(sink: BatchSink) -> None:
    assert run(sink.url, "--", "sh", "-c", "echo out; echo err >&2") == (0, "out\n", "err\n")
    done = finished(sink)
    assert (done.name, done.operation, done.subsegment, done.parent_id) == ("sh", "sh", False, 0)
    assert (done.fault, done.annotations) == (False, {"exit_status": 0})
    assert sink.batches[0].resource.service_name == "sh"


def test_the_exit_status_is_the_programs_and_a_fault(sink: BatchSink) -> None:
    assert run(sink.url, "--name", "nightly", "sh", "-c", "exit 3", env={"FLUORO_SERVICE_NAME": "other"})[0] == 3
    done = finished(sink)
    assert (done.name, done.fault, done.annotations) == ("nightly", True, {"exit_status": 3})
    assert done.cause is not None
    assert done.cause.exceptions[0].message == "sh exited with status 3"


def test_arguments_are_not_recorded(sink: BatchSink) -> None:
    run(sink.url, "--", "sh", "-c", "exit 1", "--password=hunter2")
    assert "hunter2" not in repr(finished(sink))


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python3", "-u", "jobs/report.py", "--day", "1"], "report"),
        (["/usr/bin/python3.12", "-m", "shop.worker"], "shop.worker"),
        (["./backup.sh", "--full"], "backup.sh"),
        (["bash", "-x", "backup.sh"], "backup.sh"),
        (["bash", "-c", "echo"], "bash"),
        (["python3"], "python3"),
    ],
)
def test_a_program_names_itself(command: list[str], name: str) -> None:
    assert name_of(command) == name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_program(sink: BatchSink, number: signal.Signals) -> None:
    process = start(sink.url, "--", "sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number
    done = finished(sink)
    assert done.fault
    assert done.annotations == {"exit_status": 128 + number, "signal": number.name}


def test_a_program_that_handles_its_signal_decides(sink: BatchSink) -> None:
    process = start(sink.url, "--", "sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do read x; sleep 0.05; done")
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not finished(sink).fault


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("_X_AMZN_TRACE_ID", CALLER),
        ("TRACEPARENT", "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"),
    ],
)
def test_the_environment_carries_the_trace_in_and_out(sink: BatchSink, variable: str, value: str) -> None:
    _, output, _ = run(
        sink.url, "--", "sh", "-c", 'echo "$_X_AMZN_TRACE_ID"; echo "$TRACEPARENT"', env={variable: value}
    )
    done = finished(sink)
    assert (done.trace_id.hex(), done.parent_id) == ("5759e988bd862e3fe1be46a994272793", 0x53995C3F42CD8AD8)
    xray, w3c = output.splitlines()
    for parent in (parse_xray(xray), parse_w3c(w3c)):
        assert parent is not None
        assert (parent.trace_id, parent.id, parent.sampled) == (done.trace_id, done.id, True)


def test_spans_of_a_traced_program_hang_below_its_segment(sink: BatchSink, tmp_path: Path) -> None:
    script = tmp_path / "job.py"
    script.write_text("import fluoro\nwith fluoro.span('outer'):\n    with fluoro.span('inner'): pass\n")
    code, _, errors = run(sink.url, "--", sys.executable, "-m", "fluoro", "run", sys.executable, str(script))
    assert (code, errors) == (0, "")
    by_operation = {segment.operation or segment.name: segment for segment in sink.segments if not segment.in_progress}
    outer, inner = by_operation["outer"], by_operation["inner"]
    top = next(segment for segment in sink.segments if segment.annotations == {"exit_status": 0})
    assert (outer.parent_id, outer.subsegment, inner.parent_id) == (top.id, False, outer.id)
    assert {segment.trace_id for segment in sink.segments} == {top.trace_id}


def test_an_unsampled_caller_is_respected(sink: BatchSink) -> None:
    _, output, _ = run(
        sink.url,
        *("--", "sh", "-c", 'echo "$_X_AMZN_TRACE_ID"'),
        env={"_X_AMZN_TRACE_ID": CALLER.replace("Sampled=1", "Sampled=0")},
    )
    assert "Sampled=0" in output
    assert not sink.segments


@pytest.mark.parametrize(("command", "code"), [("no-such-program-here", 127), ("/etc/passwd", 126)])
def test_what_cannot_be_started_is_said_as_a_shell_does(sink: BatchSink, command: str, code: int) -> None:
    status, _, errors = run(sink.url, "--", command)
    assert status == code
    assert command in errors
    assert finished(sink).fault


def test_without_a_collector_the_program_runs_all_the_same() -> None:
    code, output, errors = run("http://127.0.0.1:9", "--", "sh", "-c", "echo done; exit 4")
    assert (code, output) == (4, "done\n")
    assert "fluoro" in errors


def test_switched_off_it_only_runs_the_program(sink: BatchSink) -> None:
    code, output, _ = run(sink.url, "--", "sh", "-c", 'echo "[$TRACEPARENT]"; exit 5', env={"FLUORO_ENABLED": "false"})
    assert (code, output) == (5, "[]\n")
    assert not sink.requests


def test_without_a_command_it_says_what_to_write() -> None:
    code, _, errors = run("http://127.0.0.1:9")
    assert code == 2
    assert "fluoro exec -- ./backup.sh" in errors
