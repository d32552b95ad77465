"""uWSGI, whose workers are forked by C code, stopped gracefully: in a worker that is killed during a request uWSGI runs no
exit handler of Python's, and what it recorded in its last quarter of a second is lost. Run by `nox -s uwsgi`, which compiles it; so it is not named test_*."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import batch_sink
from batch_sink import BatchSink
from servers.process import free_port
from traced_program import WSGI, exactly_once, load, started, terminate, wait_until_served

UWSGI = "uwsgi --http-socket 127.0.0.1:{port} --master --processes 2 --disable-logging --need-app"
GRACEFUL = "unix_signal:15 gracefully_kill_them_all"
VARIANTS = {
    "no-threads": "",  # ours too gets its turn only while a request runs
    "threads": "--enable-threads",
    "lazy": "--enable-threads --lazy-apps",
    "python-hooks": "--threads 2 --py-call-osafterfork",
    "uwsgi-hooks": "--enable-threads --py-call-uwsgi-fork-hooks",
}


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_span_once(sink: BatchSink, tmp_path: Path, variant: str) -> None:
    (tmp_path / "wsgi.py").write_text(WSGI)
    port = free_port()
    command = f"{UWSGI.format(port=port)} -H {sys.prefix} {VARIANTS[variant]} --module wsgi:app"
    with started(tmp_path, sink.url, *command.split(), "--hook-master-start", GRACEFUL) as process:
        wait_until_served(process, port, "/work/first")
        traces = load(port, "/work/you", 40)
        terminate(process)
    exactly_once(sink, traces, Counter(["GET /work/{name}", "step"]))
