from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import batch_sink
from batch_sink import BatchSink, stored
from fluoro import diagnostics, sender
from fluoro.model import WIRE_VERSION, Segment
from fluoro.recorder import new_span_id, new_trace_id
from fluoro.sender import Sender
from fluoro.settings import Settings
from fluoro.transport import HttpTransport

SDK = Path(__file__).resolve().parents[2] / "sdk"


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """What fluoro would have logged."""
    written: list[str] = []
    monkeypatch.setattr(diagnostics, "warn", lambda _kind, message, **_: written.append(message))
    return written


@pytest.fixture
def sender_to(monkeypatch) -> Iterator[Callable[..., Sender]]:
    made: list[Sender] = []

    def make(url: str, **settings: str) -> Sender:
        made.append(Sender(Settings(service_name="orders", endpoint=url, **settings), HttpTransport(url)))
        return made[-1]

    yield make
    monkeypatch.setattr(sender, "EXIT_S", 0.1)
    for one in made:
        one.close()


def segment(name: str = "work", **fields: object) -> Segment:
    return Segment(new_trace_id(), new_span_id(), 0, name, 1, 2, **fields)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_segments_arrive_once_and_in_order_with_their_resource(sender_to, sink):
    out = sender_to(sink.url, service_version="3", environment="test", attributes={"team": "x"})
    for i in range(5_000):
        out.put(segment(str(i)))
    assert out.flush(20)
    assert [one.name for one in sink.segments] == [str(i) for i in range(5_000)]
    resource = sink.batches[0].resource
    assert (resource.service_name, resource.service_version, resource.environment) == ("orders", "3", "test")
    assert resource.host == os.uname().nodename
    assert resource.attributes["telemetry.sdk.name"] == "fluoro"
    assert resource.attributes["process.pid"] == os.getpid()
    assert resource.attributes["process.runtime.name"] == sys.implementation.name
    assert resource.attributes["team"] == "x"
    assert sink.batches[0].version == WIRE_VERSION
    assert max(len(batch.segments) for batch in sink.batches) <= sender.MAX_BATCH
    assert sink.connections == 1
    assert out.statistics() == {
        "recorded": 5_000,
        "sent": 5_000,
        "rejected": 0,
        "dropped": {},
        "queued": 0,
        "batches": len(sink.batches),
        "retries": 0,
        "trimmed": 0,
    }


def test_a_few_segments_are_sent_without_a_flush_and_again_after_an_idle_time(sender_to, sink):
    out = sender_to(sink.url)
    out.put(segment("first"))
    sink.wait_for(lambda: len(sink.segments) == 1)
    sink.wait_for(lambda: out._attention)  # the thread sleeps
    out.put(segment("second"))
    sink.wait_for(lambda: len(sink.segments) == 2)


def test_a_full_batch_does_not_wait(sender_to, sink, monkeypatch):
    monkeypatch.setattr(sender, "LINGER_S", 60.0)
    out = sender_to(sink.url)
    # The thread may take what is there when it starts; then a full batch follows all the same.
    for _ in range(2 * sender.BATCH + 1):
        out.put(segment())
    sink.wait_for(lambda: len(sink.segments) >= sender.BATCH)
    assert out.flush()


def test_no_thread_before_the_first_segment(sender_to, sink):
    before = sys._current_frames().keys()
    out = sender_to(sink.url)
    assert sys._current_frames().keys() == before
    assert out.flush()
    assert sink.connections == 0


def test_many_threads_lose_nothing(sender_to, sink):
    out = sender_to(sink.url)
    threads = [
        threading.Thread(target=lambda i=i: [out.put(segment(f"{i}-{j}")) for j in range(500)]) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert out.flush(20)
    assert len({one.name for one in sink.segments}) == 4_000


@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_collector_is_asked_again_when_it_said(sender_to, sink, status, warnings):
    sink.answers = [(status, {"Retry-After": "1"}, b"")]
    out = sender_to(sink.url)
    out.put(segment())
    sink.wait_for(lambda: len(sink.segments) == 1)
    assert sink.requests[1][0] - sink.requests[0][0] >= 1.0
    assert out.flush()
    assert out.statistics()["retries"] == 1
    assert f"answered {status}" in warnings[0]


def test_a_collector_that_comes_up_later_gets_everything(sender_to, warnings):
    port = free_port()
    out = sender_to(f"http://127.0.0.1:{port}")
    for i in range(10):
        out.put(segment(str(i)))
    late = BatchSink()
    late.wait_for(lambda: out.statistics()["retries"] >= 1)
    late.start(port)
    try:
        late.wait_for(lambda: len(late.segments) == 10)
        assert out.flush()
    finally:
        late.stop()
    assert "cannot be reached (ConnectionRefusedError" in warnings[0]


def test_waits_between_retries_grow(sender_to, sink):
    sink.answers = [(503, {}, b"")] * 4
    out = sender_to(sink.url)
    out.put(segment())
    sink.wait_for(lambda: len(sink.requests) == 5)
    times = [at for at, _ in sink.requests]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # Each wait is 0.5 to 1.5 times a quarter second that doubles.
    for i, gap in enumerate(gaps):
        assert gap >= 0.125 * 2**i


def test_a_connection_closed_by_the_server_is_replaced_at_once(sender_to, sink):
    sink.close_after_answer = True
    out = sender_to(sink.url)
    for i in range(3):
        out.put(segment(str(i)))
        assert out.flush()
    assert [one.name for one in sink.segments] == ["0", "1", "2"]
    assert sink.connections == 3
    assert out.statistics()["retries"] == 0


def test_what_the_collector_refuses_is_counted(sender_to, sink, warnings):
    sink.answers = [stored(rejected=2), (400, {}, b"no"), stored()]
    out = sender_to(sink.url)
    for _ in range(3):
        for _ in range(5):
            out.put(segment())
        assert out.flush()
    statistics = out.statistics()
    assert (statistics["recorded"], statistics["sent"], statistics["rejected"]) == (15, 8, 2)
    assert statistics["dropped"] == {"refused": 5}
    assert any("answered 400" in line for line in warnings)


def test_a_batch_that_is_too_large_is_halved_until_it_fits(sender_to, sink):
    def limited():
        return stored() if sink.requests[-1][1] < 4_000 else (413, {}, b"")

    sink.answers = [limited] * 100
    out = sender_to(sink.url)
    for i in range(64):
        out.put(segment(f"{i:02}" + "x" * 200))
    assert out.flush(20)
    assert sorted(one.name[:2] for one in sink.segments) == [f"{i:02}" for i in range(64)]
    assert out.statistics()["dropped"] == {}


def test_a_full_queue_drops_what_is_newest_and_counts_it(sender_to, warnings):
    out = sender_to(f"http://127.0.0.1:{free_port()}")
    out.put(segment())
    BatchSink().wait_for(lambda: out.statistics()["retries"] >= 1)
    out._limit = 100
    for i in range(150):
        out.put(segment(str(i)))
    statistics = out.statistics()
    assert statistics["dropped"] == {"queue full": 50}
    assert statistics["recorded"] == 151
    assert statistics["queued"] == 101
    assert [one.name for one in out._queue] == [str(i) for i in range(100)]


def test_the_queue_is_bounded_in_bytes_too(sender_to, sink, monkeypatch):
    monkeypatch.setattr(sender, "MAX_QUEUE_BYTES", 2_000_000)
    out = sender_to(sink.url)
    for _ in range(10):
        out.put(segment(metadata={"default": {"text": "x" * 1_000}}))
    assert out.flush()
    assert 1_000 < out._limit < 2_000


def test_a_flush_gives_up_in_time(sender_to, warnings):
    out = sender_to(f"http://127.0.0.1:{free_port()}")
    out.put(segment())
    began = time.monotonic()
    assert out.flush(0.3) is False
    assert time.monotonic() - began < 2
    assert out.statistics()["queued"] >= 1


def test_a_flush_does_not_wait_out_a_long_retry(sender_to, sink, warnings):
    sink.answers = [(503, {"Retry-After": "60"}, b"")]
    out = sender_to(sink.url)
    out.put(segment())
    sink.wait_for(lambda: out.statistics()["retries"] == 1)
    assert out.flush(10)
    assert len(sink.segments) == 1


def test_the_hurry_of_a_flush_ends_with_it(sender_to, sink):
    out = sender_to(sink.url)
    out.put(segment("one"))
    assert out.flush(60)
    began = time.monotonic()
    out.put(segment("two"))
    sink.wait_for(lambda: len(sink.segments) == 2)
    assert time.monotonic() - began >= sender.LINGER_S * 0.9


def test_a_short_flush_does_not_end_the_hurry_of_a_longer_one(sender_to, sink, warnings):
    release = threading.Event()
    sink.answers = [lambda: (release.wait(20), (503, {"Retry-After": "60"}, b""))[1]]
    out = sender_to(sink.url)
    out.put(segment())
    long = threading.Thread(target=out.flush, args=(30,))
    long.start()
    sink.wait_for(lambda: len(out._flushes) == 1)
    assert out.flush(0.01) is False
    release.set()
    long.join(20)
    assert not long.is_alive()
    assert len(sink.segments) == 1


def test_a_value_that_cannot_be_encoded_costs_only_itself(sender_to, sink):
    out = sender_to(sink.url)
    out.put(segment("good"))
    out.put(segment("bad", annotations={"big": 1 << 80, "text": "\ud800"}, metadata={"default": {"object": object()}}))
    assert out.flush()
    good, bad = sink.segments
    assert good.name == "good"
    assert bad.annotations == {"big": str(1 << 80), "text": "?"}
    assert bad.metadata["default"]["object"].startswith("<object object")


def test_after_a_fork_the_child_sends_its_own_and_the_parent_its_own(sender_to, sink):
    out = sender_to(sink.url)
    out.put(segment("warm"))
    assert out.flush()
    sink.answers = [(503, {"Retry-After": "1"}, b"")]
    out.put(segment("parent's"))
    sink.wait_for(lambda: out.statistics()["retries"] == 1)
    read, write = os.pipe()
    import warnings as python_warnings

    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork with threads
        pid = os.fork()
    if pid == 0:
        out.put(segment("child's"))
        sent = out.flush(10)
        os.write(write, b"y" if sent and out.statistics()["recorded"] == 1 else b"n")
        os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"y"
    os.close(read)
    os.waitpid(pid, 0)
    assert out.flush(10)
    assert sorted(one.name for one in sink.segments) == ["child's", "parent's", "warm"]
    pids = {one.name: batch.resource.attributes["process.pid"] for batch in sink.batches for one in batch.segments}
    assert pids == {"warm": os.getpid(), "parent's": os.getpid(), "child's": pid}


def run_program(code: str, sink: BatchSink, **options: object) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(SDK), "FLUORO_ENDPOINT": sink.url}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    return output, errors


def test_a_program_that_ends_flushes(sink):
    _, errors = finish(run_program("import fluoro; fluoro.install()\nwith fluoro.span('bye'): pass", sink))
    assert [one.operation for one in sink.segments] == ["bye"]
    assert errors == ""


def test_a_span_that_ends_while_the_interpreter_shuts_down_is_sent(sink):
    code = (
        "import atexit, fluoro; fluoro.install()\n"
        "from fluoro import activation\n"
        "span = fluoro.span('at exit'); span.__enter__()\n"
        "import atexit; atexit.unregister(activation.sender.close)\n"
        "atexit.register(activation.sender.close)\n"
        "atexit.register(lambda: span.__exit__(None, None, None))\n"
    )
    _, errors = finish(run_program(code, sink))
    assert [one.operation for one in sink.segments] == ["at exit"]
    assert errors == ""


def test_sigterm_flushes_and_kills_as_before(sink):
    code = "import fluoro, time; fluoro.install()\nwith fluoro.span('x'): pass\nprint('up', flush=True)\ntime.sleep(60)"
    process = run_program(code, sink)
    assert process.stdout.readline() == "up\n"
    process.terminate()
    finish(process, -signal.SIGTERM)
    assert [one.operation for one in sink.segments] == ["x"]


def test_a_programs_own_sigterm_handler_is_left_alone(sink):
    code = (
        "import signal\nhandler = lambda *_: None\nsignal.signal(signal.SIGTERM, handler)\nimport fluoro\n"
        "fluoro.install()\nassert signal.getsignal(signal.SIGTERM) is handler"
    )
    finish(run_program(code, sink))


def test_an_exit_with_the_collector_away_takes_two_seconds_at_most_and_says_so(sink):
    sink.stop()
    code = "import fluoro; fluoro.install()\nfor _ in range(700):\n    with fluoro.span('x'): pass"
    began = time.monotonic()
    process = run_program(code, sink)
    _, errors = finish(process)
    assert time.monotonic() - began < 8
    assert "cannot be reached" in errors
    assert "700 of 700 segments of this process could not be delivered" in errors
    sink.start()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_children_flush(sink, tmp_path, method):
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, fluoro\n"
        "fluoro.install()\n"
        "def work(name):\n"
        "    with fluoro.span(name): pass\n"
        "if __name__ == '__main__':\n"
        "    with fluoro.span('parent'): pass\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    children = [context.Process(target=work, args=(f'child {i}',)) for i in range(2)]\n"
        "    for child in children: child.start()\n"
        "    for child in children: child.join()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(SDK), "FLUORO_ENDPOINT": sink.url}
    subprocess.run([sys.executable, str(program)], env=env, check=True, timeout=60)
    assert sorted(one.operation for one in sink.segments) == ["child 0", "child 1", "parent"]
    assert len({batch.resource.attributes["process.pid"] for batch in sink.batches}) == 3
    assert len({one.trace_id for one in sink.segments}) == 3


def test_warnings_are_rare_go_to_stderr_and_enter_no_handler_of_the_application(sink):
    code = (
        "import logging, io\n"
        "app = io.StringIO(); logging.basicConfig(stream=app, level=0)\n"
        "from fluoro import diagnostics\n"
        "print([diagnostics.warn('k', 'once'), diagnostics.warn('k', 'twice'), diagnostics.warn('other', 'else')])\n"
        "assert app.getvalue() == '', app.getvalue()\n"
    )
    output, errors = finish(run_program(code, sink))
    assert output == "[True, False, True]\n"
    assert errors.splitlines() == ["WARNING fluoro: once", "WARNING fluoro: else"]
