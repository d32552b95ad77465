"""Every span exactly once, however a program forks, spawns, fails or ends."""

from __future__ import annotations

import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import batch_sink
from batch_sink import BatchSink
from fluoro.sender import MAX_BATCH
from traced_program import completed, label, started

WORKERS = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import fluoro

def work(number):
    with fluoro.span("job"):
        return number

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with fluoro.span("main"):
        if sys.argv[2] == "pool":
            with context.Pool(2) as pool:
                assert pool.map(work, range(20), chunksize=1) == list(range(20))
                pool.close()
                pool.join()
        elif sys.argv[2] == "process":
            children = [context.Process(target=work, args=(i,)) for i in range(8)]
            for child in children: child.start()
            for child in children: child.join()
            assert all(child.exitcode == 0 for child in children)
        else:
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                assert list(pool.map(work, range(20))) == list(range(20))
"""


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


def program(folder: Path, text: str) -> str:
    path = folder / "program.py"
    path.write_text(text)
    return str(path)


def arrived(sink: BatchSink) -> Counter[str]:
    """How often each span arrived; their ids must differ."""
    segments = sink.segments
    assert len({segment.id for segment in segments}) == len(segments)
    return Counter(label(segment) for segment in segments)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["process", pytest.param("pool", marks=pytest.mark.matrix), "executor"])
def test_multiprocessing(sink: BatchSink, tmp_path: Path, method: str, kind: str) -> None:
    completed(tmp_path, sink.url, "python", program(tmp_path, WORKERS), method, kind)
    assert arrived(sink) == {"main": 1, "job": 8 if kind == "process" else 20}
    if kind == "executor" or method == "fork":
        (main,) = (segment for segment in sink.segments if label(segment) == "main")
        assert {segment.trace_id for segment in sink.segments} == {main.trace_id}


def test_a_fork_inside_a_span(sink: BatchSink, tmp_path: Path) -> None:
    text = """
import os, fluoro
with fluoro.span("open at the fork"):
    pid = os.fork()
    with fluoro.span("parent's" if pid else "child's"):
        pass
if pid:
    os.waitpid(pid, 0)
"""
    completed(tmp_path, sink.url, "python", "-W", "ignore", program(tmp_path, text))
    assert arrived(sink) == {"open at the fork": 1, "parent's": 1, "child's": 1}
    by_label = {label(segment): segment for segment in sink.segments}
    assert by_label["child's"].parent_id == by_label["parent's"].parent_id == by_label["open at the fork"].id


def test_a_subprocess_of_a_traced_program(sink: BatchSink, tmp_path: Path) -> None:
    text = """
import subprocess, sys, fluoro
with fluoro.span("outer"):
    subprocess.run([sys.executable, "-c", "import fluoro\\nwith fluoro.span('inner'): pass"], check=True)
"""
    completed(tmp_path, sink.url, "python", program(tmp_path, text))
    assert arrived(sink) == {"outer": 1, "inner": 1}


@pytest.mark.parametrize(
    ("ending", "code", "faults"),
    [
        ("pass", 0, 0),
        ("sys.exit(3)", 3, 0),
        ("raise ValueError('no')", 1, 1),
        ("raise KeyboardInterrupt", -signal.SIGINT, 0),
        ("threading.Thread(target=later).start()", 0, 0),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM, 0),
        (
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
            4,
            0,
        ),
    ],
    ids=["returns", "sys.exit", "exception", "interrupt", "thread", "sigterm", "sigterm-handled"],
)
def test_however_it_ends(sink: BatchSink, tmp_path: Path, ending: str, code: int, faults: int) -> None:
    text = f"""
import os, signal, sys, threading, time, fluoro
def later():
    threading.main_thread().join()
    with fluoro.span("after the main thread"): pass
with fluoro.span("before"):
    pass
with fluoro.span("last"):
    fluoro.annotate("n", 1)
    if {"raise" in ending or "exit(3)" in ending}:
        {ending if "raise" in ending or "exit(3)" in ending else "pass"}
{ending if not ("raise" in ending or "exit(3)" in ending) else ""}
"""
    completed(tmp_path, sink.url, "python", program(tmp_path, text), code=code)
    expected = {"before": 1, "last": 1} | ({"after the main thread": 1} if "Thread" in ending else {})
    assert arrived(sink) == expected
    assert sum(segment.fault for segment in sink.segments) == faults


@pytest.mark.matrix
def test_a_million_spans_leave_memory_flat(sink: BatchSink, tmp_path: Path) -> None:
    """The queue is bounded: what a tight loop makes faster than it can be sent is dropped and counted, never kept."""
    text = """
import fluoro
def kib():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
def make(count):
    with fluoro.span("root"):
        for _ in range(count):
            with fluoro.span("step"): fluoro.annotate("n", 1)
make(100_000); fluoro.flush(60)
before = kib()
for _ in range(9): make(100_000)
fluoro.flush(60)
counters = fluoro.statistics()
print(before, kib(), counters["recorded"], counters["sent"], sum(counters["dropped"].values()), counters["queued"])
"""
    output = completed(tmp_path, sink.url, "python", program(tmp_path, text))
    before, after, recorded, sent, dropped, queued = map(int, output.split())
    assert (recorded, queued) == (1_000_010, 0)
    assert sent + dropped == recorded
    assert sent == len(sink.segments)
    assert after < before + 32 * 1024  # KiB; a million kept spans would be 400 MiB


def test_while_the_collector_is_away_the_program_is_as_fast_and_says_what_it_dropped(tmp_path: Path) -> None:
    text = """
import time, fluoro
worst = 0.0
for _ in range(70_000):
    began = time.thread_time()
    with fluoro.span("step"): pass
    worst = max(worst, time.thread_time() - began)
counters = fluoro.statistics()
print(worst, counters["recorded"], counters["queued"], counters["dropped"]["queue full"], len(counters["dropped"]))
"""
    output = completed(tmp_path, "http://127.0.0.1:9", "python", program(tmp_path, text))
    numbers = next(line for line in output.splitlines() if not line.startswith("WARNING"))
    worst, recorded, queued, dropped, reasons = numbers.split()
    assert (int(recorded), int(reasons)) == (70_000, 1)
    assert int(queued) + int(dropped) == 70_000
    assert 65_536 <= int(queued) <= 65_536 + MAX_BATCH  # what waits, and the batch that is being tried
    assert float(worst) < 0.5  # CPU of this thread: no span waits for the network


def test_a_collector_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """It accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        text = "import fluoro\nwith fluoro.span('x'): pass\nprint('done', flush=True)\n"
        with started(tmp_path, endpoint, "python", program(tmp_path, text)) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "done\n"
            began = time.monotonic()
            process.communicate(timeout=30)
            assert time.monotonic() - began < 6  # two seconds are allowed, and this machine may be busy
            assert process.returncode == 0
