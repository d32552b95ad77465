"""Real programs under `fluoro run`, and the rule for all of them: every span exactly once."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from batch_sink import BatchSink
from fluoro.model import Segment
from fluoro.run import BOOTSTRAP

SDK = BOOTSTRAP.parents[1]

WSGI = """
import time
import flask, fluoro
app = flask.Flask(__name__)
@app.get("/work/<name>")
def work(name):
    with fluoro.span("step"):
        time.sleep(0.002)
    return "done"
@app.get("/stream")
def stream():
    def body():
        for _ in range(3):
            with fluoro.span("chunk"):
                pass
            yield b"part"
    return app.response_class(body())
"""

ASGI = """
import asyncio
import fluoro
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
async def work(request):
    with fluoro.span("step"):
        await asyncio.sleep(0.002)
    return PlainTextResponse("done")
app = Starlette(routes=[Route("/work/{name}", work)])
"""


def environment(endpoint: str, **more: str) -> dict[str, str]:
    """Nothing of fluoro's or OpenTelemetry's but what is given; this interpreter's scripts first on PATH."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("FLUORO_", "OTEL_", "COV_"))}
    plain |= {"PYTHONPATH": str(SDK), "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]}
    return plain | {"FLUORO_ENDPOINT": endpoint, "FLUORO_SERVICE_NAME": "app"} | more


@contextmanager
def started(folder: Path, endpoint: str, *command: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """`fluoro run COMMAND` in a session of its own; whatever is left of it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fluoro", "run", *command],
        cwd=folder,
        env=environment(endpoint, **env),
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


def completed(folder: Path, endpoint: str, *command: str, code: int | None = 0, **env: str) -> str:
    """Run it to its end; what it printed."""
    with started(folder, endpoint, *command, **env) as process:
        output, _ = process.communicate(timeout=60)
        assert code is None or process.returncode == code, output
        return output


def wait_until_served(process: subprocess.Popen[str], port: int, path: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        with suppress(OSError, http.client.HTTPException):
            if get(port, path, sampled=False) == 200:
                return
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the server did not answer within 60 s"
        time.sleep(0.02)


def get(port: int, path: str, *, sampled: bool = True, trace_id: bytes = b"") -> int:
    """One request on a connection of its own; the status. Unsampled, it leaves no segment."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    header = f"00-{(trace_id or os.urandom(16)).hex()}-{'b7ad6b7169203331'}-0{int(sampled)}"
    connection.request("GET", path, headers={"traceparent": header})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def load(port: int, path: str, requests: int) -> list[bytes]:
    """Make that many requests, four at a time; the trace ids that they asked for, each its own."""
    traces = [os.urandom(16) for _ in range(requests)]
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda trace: get(port, path, trace_id=trace), traces))
    assert set(statuses) == {200}
    return traces


def exactly_once(sink: BatchSink, traces: list[bytes], names: Counter[str]) -> None:
    """Each trace has one segment for each of `names` (operation, or name of a step), and nothing else arrived."""
    expected = Counter((trace, name) for trace in traces for name in names.elements())
    sink.wait_for(lambda: len(sink.segments) >= expected.total())
    found = Counter((segment.trace_id, label(segment)) for segment in sink.segments)
    assert found == expected
    assert len({segment.id for segment in sink.segments}) == expected.total()


def label(segment: Segment) -> str:
    return segment.name if segment.subsegment else segment.operation


def terminate(process: subprocess.Popen[str]) -> str:
    """SIGTERM to the program alone, as a supervisor does; its output."""
    process.terminate()
    output, _ = process.communicate(timeout=40)
    return output
