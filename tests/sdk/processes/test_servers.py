"""Every span exactly once, under the servers that fork, spawn, reload and recycle their workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import batch_sink
from batch_sink import BatchSink
from servers.process import free_port
from traced_program import ASGI, WSGI, exactly_once, load, started, terminate, wait_until_served

GUNICORN = "gunicorn -b 127.0.0.1:{port} -w 2 --log-level warning --graceful-timeout 10"
UVICORN = "uvicorn --port {port} --log-level warning"

# What `make test` runs; the rest is the matrix.
CORE = {
    "gunicorn": f"{GUNICORN} wsgi:app",
    "gunicorn-preload": f"{GUNICORN} --preload wsgi:app",
    "gunicorn-gevent": f"{GUNICORN} -k gevent wsgi:app",
    "uvicorn-workers": f"{UVICORN} --workers 2 asgi:app",
}
MORE = {
    "gunicorn-gthread": f"{GUNICORN} -k gthread --threads 4 wsgi:app",
    "gunicorn-gthread-preload": f"{GUNICORN} -k gthread --threads 4 --preload wsgi:app",
    "gunicorn-gevent-preload": f"{GUNICORN} -k gevent --preload wsgi:app",
    "gunicorn-uvicorn": f"{GUNICORN} -k uvicorn.workers.UvicornWorker asgi:app",
    "gunicorn-uvicorn-preload": f"{GUNICORN} -k uvicorn.workers.UvicornWorker --preload asgi:app",
    "gunicorn-recycled": f"{GUNICORN} --max-requests 5 wsgi:app",
    "gunicorn-recycled-preload": f"{GUNICORN} --max-requests 5 --preload wsgi:app",
    "uvicorn": f"{UVICORN} asgi:app",
    "uvicorn-reload": f"{UVICORN} --reload asgi:app",
    "hypercorn-workers": "hypercorn -b 127.0.0.1:{port} -w 2 asgi:app",
    "waitress": "waitress-serve --listen=127.0.0.1:{port} wsgi:app",
    "flask-run": "flask --app wsgi run --port {port}",
    "flask-debug": "flask --app wsgi run --port {port} --debug",
}
ABRUPT = ("waitress", "flask-run", "flask-debug")


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


def serve_and_check(sink: BatchSink, folder: Path, command: str, *, graceful: bool = True) -> None:
    (folder / "wsgi.py").write_text(WSGI)
    (folder / "asgi.py").write_text(ASGI)
    port = free_port()
    with started(folder, sink.url, *command.format(port=port).split()) as process:
        wait_until_served(process, port, "/work/first")
        traces = load(port, "/work/you", 40)
        if not graceful:  # SIGTERM ends it in the middle of whatever its threads do
            sink.wait_for(lambda: len(sink.segments) >= 2 * len(traces))
        output = terminate(process)
    exactly_once(sink, traces, Counter(["GET /work/{name}", "step"]))
    assert "Traceback" not in output


@pytest.mark.parametrize("server", CORE)
def test_every_span_once(sink: BatchSink, tmp_path: Path, server: str) -> None:
    serve_and_check(sink, tmp_path, CORE[server])


@pytest.mark.matrix
@pytest.mark.parametrize("server", MORE)
def test_every_span_once_more_servers(sink: BatchSink, tmp_path: Path, server: str) -> None:
    serve_and_check(sink, tmp_path, MORE[server], graceful=server not in ABRUPT)


@pytest.mark.parametrize("server", ["gunicorn"])
def test_a_streamed_answer_keeps_its_spans(sink: BatchSink, tmp_path: Path, server: str) -> None:
    (tmp_path / "wsgi.py").write_text(WSGI)
    port = free_port()
    with started(tmp_path, sink.url, *CORE[server].format(port=port).split()) as process:
        wait_until_served(process, port, "/stream")
        traces = load(port, "/stream", 8)
        terminate(process)
    exactly_once(sink, traces, Counter({"GET /stream": 1, "chunk": 3}))
