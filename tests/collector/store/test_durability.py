"""What was acknowledged is there after `kill -9`, and what is sent again is stored once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.segments import RESOURCE, full_segment
from fluoro_collector.store.embedded import Embedded
from fluoro_collector.store.engine import StoreError
from fluoro_collector.store.store import Store, open_engine

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PER_BATCH = 20


def _start(*command: str) -> subprocess.Popen[str]:
    paths = [str(ROOT / part) for part in ("sdk", "collector", "tests")]
    return subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ":".join(paths)}
    )


@pytest.mark.parametrize("acknowledged", [1, 7, 25])
def test_a_killed_process_loses_nothing_and_replay_stores_once(tmp_path: Path, acknowledged: int) -> None:
    directory = tmp_path / "data"
    process = _start(str(HERE / "inserting_process.py"), str(directory))
    assert process.stdout is not None
    with process.stdout:
        lines = [process.stdout.readline() for _ in range(acknowledged)]
        process.send_signal(signal.SIGKILL)  # most likely in the middle of the next insert
        lines += process.stdout.readlines()
    process.wait(30)
    last = int([line for line in lines if line.endswith("\n")][-1])
    assert last >= acknowledged
    store = Store(Embedded(directory))
    try:
        # A batch may have been stored whole just before its acknowledgement; half a batch never.
        stored = store.count()
        assert stored in {last * PER_BATCH, (last + 1) * PER_BATCH}
        for number in range(1, last + 3):
            store.insert(
                [(RESOURCE, [full_segment(id=number * PER_BATCH + k) for k in range(PER_BATCH)])], f"batch-{number}"
            )
        assert store.count() == (last + 2) * PER_BATCH
        ids = store.engine.query("SELECT id FROM segments ORDER BY id")["id"]
        assert ids == list(range(PER_BATCH, (last + 3) * PER_BATCH))
    finally:
        store.close()


def test_a_second_process_is_told_who_owns_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    process = _start(str(HERE / "inserting_process.py"), str(directory))
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "1\n"
        with pytest.raises(StoreError, match=rf"another collector owns {directory} \(pid {process.pid}\)"):
            open_engine(str(directory))
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()
    open_engine(str(directory)).close()  # the lock went with its owner


def test_a_second_directory_in_one_process_is_refused(tmp_path: Path) -> None:
    engine = Embedded(tmp_path / "one")
    with pytest.raises(StoreError, match="already has another data directory open"):
        Embedded(tmp_path / "two")
    engine.close()
    Embedded(tmp_path / "two").close()


def test_the_data_directory_is_private(tmp_path: Path) -> None:
    engine = Embedded(tmp_path / "new" / "data")
    assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700
    engine.close()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_stay_ours(tmp_path: Path, name: str) -> None:
    """A handler set before or after the engine started is called; the engine's own would end the process."""
    code = f"""
import os, signal, sys
seen = []
signal.signal(signal.{name}, lambda *_: seen.append("before"))
from fluoro_collector.store.embedded import Embedded
engine = Embedded(sys.argv[1])
engine.query("SELECT 1")
os.kill(os.getpid(), signal.{name})
signal.signal(signal.{name}, lambda *_: seen.append("after"))
os.kill(os.getpid(), signal.{name})
engine.close()
print(seen)
"""
    process = _start("-c", code, str(tmp_path / "data"))
    answer, _ = process.communicate(timeout=60)
    assert (process.returncode, answer) == (0, "['before', 'after']\n")


def test_an_interrupt_without_a_handler_is_keyboardinterrupt(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from fluoro_collector.store.embedded import Embedded
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it runs in the background
engine = Embedded(sys.argv[1])
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
engine.close()
"""
    process = _start("-c", code, str(tmp_path / "data"))
    answer, _ = process.communicate(timeout=60)
    assert (process.returncode, answer) == (0, "interrupted\n")
