"""What tracing costs a process, beside the peers a Python team would otherwise install.

    make bench            (or: python tests/bench/bench_sdk.py [--rounds 3] [--instructions])

Every figure is of the whole process (all threads, encoding and sending included), a fresh one whose spans go to a sink
process. That counts what arrived: the table says who lost any, and the run fails if that was fluoro. Tracers take turns,
round by round, in one run on one machine; the table shows the medians, and behind each peer's its ratio to fluoro's.

CPU time is what is felt, and on a busy machine it varies by a third. `--instructions` counts them instead, with valgrind
(half an hour): that is repeatable to 1 %, whatever else runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCRIPTS = Path(sys.executable).parent
PEERS = ("opentelemetry", "aws-xray-sdk", "ddtrace")
ALL = ("bare", "fluoro", *PEERS)

# scenario → what is measured, how often, and whether the same without a tracer is to be subtracted.
ROWS = {
    "span": ("a span with 5 annotations: create, end, encode, send", 22_000, False),
    "threads": ("the same, 8 threads at once", 22_000, False),
    "flask": ("one Flask request", 3_000, True),
    "starlette": ("one Starlette request", 3_000, True),
    "unsampled": ("one Flask request that is not sampled", 3_000, True),
    "requests": ("one `requests` call", 1_500, True),
    "botocore": ("one botocore call (DynamoDB GetItem)", 1_000, True),
    "sqlite": ("one SQLite query", 8_000, True),
}
UNSUPPORTED = {("starlette", "aws-xray-sdk")}  # no instrumentation for it
IMPORTS = {
    "bare": "pass",
    "fluoro": "import fluoro",
    "opentelemetry": "import opentelemetry.sdk.trace.export, opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "aws-xray-sdk": "import aws_xray_sdk.core",
    "ddtrace": "import ddtrace.trace",
}
OTEL_RUN = ("opentelemetry-instrument", "--metrics_exporter", "none", "--logs_exporter", "none")
LAUNCHERS = {
    "bare": [],
    "fluoro": [sys.executable, "-m", "fluoro", "run"],
    "opentelemetry": [str(SCRIPTS / OTEL_RUN[0]), *OTEL_RUN[1:], "--traces_exporter", "none"],
    "ddtrace": [str(SCRIPTS / "ddtrace-run")],
}
ONCE = {  # what a process has once
    "start": ("added to starting Python, ms", True),
    "import": ("added by importing it, ms", True),
    "memory": ("added to the memory of an idle process, MB", True),
}
COUNT_FROM, COUNT_TO = 200, 800  # units of the two runs whose difference is counted with --instructions

Results = dict[tuple[str, str], list[float]]  # (row, tracer) → a value for each round


@contextmanager
def _sink() -> Iterator[dict[str, str]]:
    """The environment of a process whose spans go to a sink."""
    common = {**os.environ, "PYTHONPATH": str(ROOT / "sdk"), "PYTHONWARNINGS": "ignore", "PYTHONHASHSEED": "0"}
    process = subprocess.Popen([sys.executable, HERE / "sdk_sink.py"], stdout=subprocess.PIPE, env=common)
    assert process.stdout
    port = process.stdout.readline().decode().strip()
    try:
        yield {
            **common,
            "SINK": port,
            "FLUORO_ENDPOINT": f"http://127.0.0.1:{port}",
            "FLUORO_SAMPLING_ENDPOINT": "none",  # no peer asks for rules
            "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{port}",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        }
    finally:
        process.terminate()
        process.wait()


def _scenario(
    tracer: str, row: str, units: int, environment: dict[str, str], *before: str
) -> tuple[dict[str, float], str]:
    """What it printed, and what it wrote to its standard error."""
    output = subprocess.run(
        [*before, sys.executable, HERE / "sdk_scenarios.py", tracer, row, str(units)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if output.returncode:
        raise SystemExit(f"{row} with {tracer} failed:\n{output.stderr[-3000:]}")
    printed: dict[str, float] = json.loads(output.stdout.splitlines()[-1])
    with urllib.request.urlopen(f"http://127.0.0.1:{environment['SINK']}/received") as answer:
        arrived = int(answer.read())
    if tracer != "bare" and arrived < printed["spans"]:
        print(f"{row}, {tracer}: {arrived} of {printed['spans']} spans arrived", file=sys.stderr)
        if tracer == "fluoro":
            raise SystemExit(1)
    return printed, output.stderr


def _cpu_of(command: list[str], environment: dict[str, str]) -> float:
    """CPU seconds of a process and of what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _launched(tracer: str, environment: dict[str, str]) -> dict[str, str]:
    """What a launcher hands to the program it starts; so the program's start is measured without the launcher's own."""
    output = subprocess.run([*LAUNCHERS[tracer], "env", "-0"], env=environment, check=True, capture_output=True).stdout
    return dict(item.decode().split("=", 1) for item in output.split(b"\0") if item)


def measure(rounds: int, rows: list[str]) -> Results:
    """µs for the rows of ROWS; ms for `import` and `start`; MB for `memory`."""
    results: Results = {}
    with _sink() as environment:
        launched = {tracer: _launched(tracer, environment) for tracer in LAUNCHERS}
        for _ in range(rounds):
            for row in rows:
                _what, units, added = ROWS[row]
                for tracer in ALL:
                    if (row, tracer) in UNSUPPORTED or (tracer == "bare" and not added):
                        continue
                    printed, _ = _scenario(tracer, row, units, environment)
                    results.setdefault((row, tracer), []).append(printed["cpu"] * 1e6)
                    if row == ("sqlite" if tracer == "bare" else "span"):  # scenarios that import nothing else
                        results.setdefault(("memory", tracer), []).append(printed["rss"] / 1e6)
            for tracer, code in IMPORTS.items():
                seconds = _cpu_of([sys.executable, "-c", code], environment)
                results.setdefault(("import", tracer), []).append(seconds * 1e3)
            for tracer, variables in launched.items():
                seconds = _cpu_of([sys.executable, "-c", "pass"], variables)
                results.setdefault(("start", tracer), []).append(seconds * 1e3)
    return results


def count(rows: list[str]) -> Results:
    """Thousands of instructions for the rows of ROWS."""
    results: Results = {}
    with _sink() as environment:
        for row in rows:
            for tracer in ALL:
                if (row, tracer) in UNSUPPORTED or (tracer == "bare" and not ROWS[row][2]):
                    continue
                totals = []
                for units in (COUNT_FROM, COUNT_TO):
                    log = _scenario(
                        tracer,
                        row,
                        units,
                        environment,
                        "valgrind",
                        "--tool=cachegrind",
                        "--cache-sim=no",
                        "--cachegrind-out-file=/dev/null",
                    )[1]
                    totals.append(_instructions(log))
                results[row, tracer] = [(totals[1] - totals[0]) / (COUNT_TO - COUNT_FROM) / 1e3]
    return results


def _instructions(log: str) -> int:
    found = re.search(r"I\s+refs:\s+([\d,]+)", log)
    assert found, log[-500:]
    return int(found[1].replace(",", ""))


def _print_table(results: Results, labels: dict[str, tuple[str, bool]]) -> None:
    """`labels`: row → what it says, and whether `bare` is to be subtracted."""
    print(f"| | without | fluoro | {' | '.join(PEERS)} |\n|---|---|---|{'---|' * len(PEERS)}")
    for row, (label, added) in labels.items():
        middle = {tracer: statistics.median(results[row, tracer]) for tracer in ALL if (row, tracer) in results}
        base = middle["bare"] if added else 0.0
        ours = middle["fluoro"] - base
        cells = [f"{base:,.0f}" if added else "", f"{ours:,.1f}" if ours < 100 else f"{ours:,.0f}"]
        for peer in PEERS:
            theirs = middle.get(peer)
            cells.append("–" if theirs is None else f"{theirs - base:,.0f} ({(theirs - base) / ours:.1f} ×)")
        print(f"| {label} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--instructions", action="store_true", help="count instructions with valgrind")
    arguments = parser.parse_args()
    labels = {
        row: (f"{'added to ' if added else ''}{what}", added)
        for row, (what, _units, added) in ROWS.items()
        if row in arguments.rows
    }
    if arguments.instructions:
        results = count(arguments.rows)
        print(f"Python {sys.version.split()[0]}, thousands of instructions of the whole process\n")
        _print_table(results, labels)
        return
    results = measure(arguments.rounds, arguments.rows)
    print(f"Python {sys.version.split()[0]}, CPU of the whole process, medians of {arguments.rounds} rounds\n")
    _print_table(
        results,
        {row: (f"{what}, µs", added) for row, (what, added) in labels.items()}
        | {row: label for row, label in ONCE.items() if (row, "fluoro") in results and (row, "bare") in results},
    )


if __name__ == "__main__":
    main()
