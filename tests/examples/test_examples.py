"""Each file of examples/ is run by the commands that it documents, and leaves the spans that it promises."""

from __future__ import annotations

import ast
import http.client
import json
import os
import re
import signal
import socket
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import batch_sink
from batch_sink import BatchSink
from fluoro.model import Kind, Segment
from servers.process import free_port
from traced_program import environment, wait_until_served

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
COMMAND = re.compile(r"^ {4}((?:[A-Z_]+=\S+ )?(?:fluoro|python|curl) .+)$", re.MULTILINE)

run_here: set[str] = set()


def runs(*files: str) -> Callable[[Any], Any]:
    """The test of these files."""
    run_here.update(files)
    return lambda test: test


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


def commands(file: str) -> list[str]:
    """The indented commands in the text on top of an example."""
    source = (EXAMPLES / file).read_text()
    if file.endswith(".py"):
        return COMMAND.findall(ast.get_docstring(ast.parse(source)) or "")
    return COMMAND.findall(re.sub(r"^# ?", "", source, flags=re.MULTILINE))


@contextmanager
def started(command: str, sink: BatchSink, folder: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """`command` as a shell at the repository's root runs it; temporary files go to `folder`."""
    environ = environment(sink.url, TMPDIR=str(folder), **env)
    del environ["FLUORO_SERVICE_NAME"]  # the command says it
    process = subprocess.Popen(
        command,
        shell=True,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def completed(command: str, sink: BatchSink, folder: Path, **env: str) -> str:
    """Run it to its end, a success; what it printed."""
    with started(command, sink, folder, **env) as process:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        return output


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C, and wait for the end: then everything has been sent."""
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=40)


def served(file: str, sink: BatchSink, folder: Path, *more_paths: str, requests: int = 1) -> int:
    """Start the server, make the documented request and those of `more_paths`, which are `requests` in all with those that
    they cause; stop it when these are here: an answer may be read before its request has ended. Its port.
    """
    port = free_port()
    command, request = commands(file)
    documented = re.fullmatch(r"curl http://127\.0\.0\.1:8000(/\S+)", request)
    assert documented is not None
    with started(command, sink, folder, PORT=str(port)) as process:
        wait_until_served(process, port, documented[1])
        for path in (documented[1], *more_paths):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", path)
            connection.getresponse().read()  # to its end: werkzeug does not close the body of who hangs up before
            connection.close()
        sink.wait_for(lambda: [span.kind for span in sink.segments].count(Kind.SERVER) == requests)
        interrupt(process)
    return port


def trees(sink: BatchSink) -> list[list[str]]:
    """Each trace as lines `service: what`, a child two spaces deeper than its parent; all by time of start."""
    traces: dict[bytes, list[tuple[str, Segment]]] = defaultdict(list)
    for batch in sink.batches:
        for segment in batch.segments:
            if not segment.in_progress:
                what = f"{segment.name} {segment.operation}" if segment.subsegment else segment.operation
                line = f"{segment.service or batch.resource.service_name}: {what}".rstrip()
                traces[segment.trace_id].append((line, segment))
    ordered = [sorted(trace, key=lambda entry: entry[1].start) for trace in traces.values()]
    return [_lines(trace, 0, "") for trace in sorted(ordered, key=lambda trace: trace[0][1].start)]


def _lines(trace: list[tuple[str, Segment]], parent: int, indent: str) -> list[str]:
    lines = []
    for line, segment in trace:
        if segment.parent_id == parent:
            lines += [indent + line, *_lines(trace, segment.id, indent + "  ")]
    return lines


def named(sink: BatchSink, name: str) -> Segment:
    """The one finished span with this name or operation."""
    (found,) = [span for span in sink.segments if name in (span.name, span.operation) and not span.in_progress]
    return found


@runs("flask_app.py")
def test_flask(sink: BatchSink, tmp_path: Path) -> None:
    served("flask_app.py", sink, tmp_path, "/prices/gold", requests=2)
    request = ["flask-shop: GET /prices/{product}", "  flask-shop: :memory: SELECT prices"]
    assert trees(sink) == [["flask-shop: :memory: CREATE TABLE prices"], request, request]
    answers = {(span.http.status, span.error) for span in sink.segments if span.http}
    assert answers == {(200, False), (404, True)}


@runs("fastapi_app.py")
def test_fastapi(sink: BatchSink, tmp_path: Path) -> None:
    port = served("fastapi_app.py", sink, tmp_path, requests=2)
    assert trees(sink) == [
        [
            "fastapi-shop: GET /orders/{order}",
            f"  fastapi-shop: 127.0.0.1:{port} GET",
            "    fastapi-shop: GET /stock/{product}",
        ]
    ]


@runs("django_app.py")
def test_django(sink: BatchSink, tmp_path: Path) -> None:
    served("django_app.py", sink, tmp_path)
    *at_start, request = trees(sink)
    assert all(len(trace) == 1 for trace in at_start)
    assert request[0] == "django-shop: GET /prices/{product}"
    assert request[-1] == "  django-shop: shop.db SELECT shop_price"


@runs("celery_worker.py")
def test_celery(sink: BatchSink, tmp_path: Path) -> None:
    work, send = commands("celery_worker.py")
    completed(send, sink, tmp_path)  # the message waits for the worker
    with started(work, sink, tmp_path):  # and is killed: Celery takes five seconds to stop over this kind of queue
        sink.wait_for(lambda: len(sink.segments) == 4, timeout_s=60)
    assert trees(sink) == [
        [
            "waiter: celery send celery_worker.cook",
            "  kitchen: celery_worker.cook",
            "    kitchen: celery send celery_worker.wash_up",
            "      kitchen: celery_worker.wash_up",
        ]
    ]


@runs("lambda/invoke.py", "lambda/handler.py", "lambda/event.json", "lambda/fluoro-wrapper")
def test_lambda(sink: BatchSink, tmp_path: Path) -> None:
    (command,) = commands("lambda/invoke.py")
    answer = json.loads(completed(command, sink, tmp_path))
    assert json.loads(answer["body"]) == {"product": "tea", "pence": 300}
    assert trees(sink) == [["price: GET /prices/{product}", "  price: :memory: SELECT"]]


@runs("manual_spans.py")
def test_manual_spans(sink: BatchSink, tmp_path: Path) -> None:
    (command,) = commands("manual_spans.py")
    output = completed(command, sink, tmp_path)
    assert trees(sink) == [["bakery: bake the order", "  bakery: knead", "  bakery: oven", "  bakery: oven"]]
    order = named(sink, "bake the order")
    assert f"see trace 1-{order.trace_id.hex()[:8]}-{order.trace_id.hex()[8:]}" in output
    assert order.annotations == {"loaves": 12}
    assert named(sink, "knead").metadata == {"default": {"recipe": {"flour_g": 6000, "water_g": 3900}}}
    ovens = {(span.annotations or {})["oven"]: span for span in sink.segments if span.name == "oven"}
    assert [ovens[1].fault, ovens[2].fault, order.fault] == [False, True, False]
    assert ovens[2].cause is not None
    assert ovens[2].cause.exceptions[0].message == "the oven is cold"


@runs("opentelemetry_spans.py")
def test_opentelemetry_spans(sink: BatchSink, tmp_path: Path) -> None:
    (command,) = commands("opentelemetry_spans.py")
    completed(command, sink, tmp_path)
    assert trees(sink) == [
        ["planner: plan the trip", "  planner: look up stations", "    planner: :memory: SELECT"],
    ]
    trip = named(sink, "plan the trip")
    assert trip.annotations == {"trip.stops": 2}
    assert trip.cause is not None
    assert trip.cause.exceptions[0].type == "ValueError"
    assert [event.name for event in named(sink, "look up stations").events or []] == ["stations found"]


@runs("moving_from_aws_xray_sdk.py")
def test_moving_from_aws_xray_sdk(sink: BatchSink, tmp_path: Path) -> None:
    (command,) = commands("moving_from_aws_xray_sdk.py")
    completed(command, sink, tmp_path)
    (trace,) = trees(sink)
    assert trace[0].startswith("bakery:")
    assert trace[1:3] == ["  bakery: knead", "  bakery: bake"]
    assert trace[3].startswith("    bakery: ")
    assert trace[3].endswith("SELECT")
    knead = named(sink, "knead")
    assert (knead.annotations, knead.metadata) == ({"loaves": 12}, {"kitchen": {"recipe": {"flour_g": 6000}}})


@runs("moving_from_aws_xray_sdk.py")
def test_before_the_move_the_program_was_one_for_aws_xray_sdk(sink: BatchSink, tmp_path: Path) -> None:
    source = (EXAMPLES / "moving_from_aws_xray_sdk.py").read_text()
    after, before = "from fluoro.compat.aws_xray_sdk.core import", "from aws_xray_sdk.core import"
    assert source.count(after) == 1
    (tmp_path / "before.py").write_text(source.replace(after, before))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(30)
        address = f"127.0.0.1:{daemon.getsockname()[1]}"
        completed(f"python {tmp_path}/before.py", sink, tmp_path, AWS_XRAY_DAEMON_ADDRESS=address)
        document = json.loads(daemon.recv(65536).partition(b"\n")[2])
    knead, bake = document["subsegments"]
    assert (document["name"], knead["name"], bake["name"]) == ("bakery", "knead", "bake")
    assert (knead["annotations"], knead["metadata"]) == ({"loaves": 12}, {"kitchen": {"recipe": {"flour_g": 6000}}})
    assert len(bake["subsegments"]) == 1


@runs("without_launcher.py")
def test_without_launcher(sink: BatchSink, tmp_path: Path) -> None:
    (command,) = commands("without_launcher.py")
    assert completed(command, sink, tmp_path) == "42\n"
    assert trees(sink) == [["counter: count", "  counter: :memory: SELECT"]]


@runs("nightly.sh")
def test_nightly(sink: BatchSink, tmp_path: Path) -> None:
    (command,) = commands("nightly.sh")
    assert "upload ended with status 3" in completed(command, sink, tmp_path)
    assert trees(sink) == [["nightly: sh", "  backup: tar", "  report: sh", "  upload: sh"]]
    done = {span.name: (span.fault, span.annotations) for span in sink.segments if not span.in_progress}
    well = (False, {"exit_status": 0})
    assert done == {"nightly": well, "backup": well, "report": well, "upload": (True, {"exit_status": 3})}


@runs("logging_ids.py")
def test_logging_ids(sink: BatchSink, tmp_path: Path) -> None:
    (command,) = commands("logging_ids.py")
    ids = re.findall(r"trace_id=(\S*) span_id=(\S*) ", completed(command, sink, tmp_path))
    bake, knead = named(sink, "bake"), named(sink, "knead")
    text = bake.trace_id.hex()
    trace_id = f"1-{text[:8]}-{text[8:]}"
    assert ids == [("", ""), (trace_id, f"{bake.id:016x}"), (trace_id, f"{knead.id:016x}")]


def test_every_file_is_run() -> None:
    """The demo has its own tests."""
    files = (file.relative_to(EXAMPLES) for file in EXAMPLES.rglob("*") if file.is_file())
    left_out = ("fluoro_shop", "__pycache__", "README.md")
    assert {str(file) for file in files if not set(file.parts) & set(left_out)} == run_here


def test_the_readme_names_every_example_and_its_commands() -> None:
    rows = re.findall(r"^\| \[(\S+)\]\((\S+)\) \| (.+?) \| ", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert all(shown == target for shown, target, _ in rows)
    documented = {file: commands(file) for file in run_here if commands(file)}
    assert {file: re.findall(r"`(.+?)`", cell) for file, _, cell in rows} == documented


def test_no_example_is_long() -> None:
    assert {file for file in run_here if len((EXAMPLES / file).read_text().splitlines()) > 60} == set()
