"""Start a real server for the tests, and wait until it answers."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

_START_S = 60


def binary(name: str, package: str, path: str = "/usr/sbin:/usr/bin") -> str:
    """Where the server's program is; the calling test is skipped, or fails where no skip is allowed, without it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{path}")
    if found:
        return found
    reason = f"{name} is not installed (Debian: apt-get install {package})"
    if os.environ.get("FLUORO_TEST_NO_SKIP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    answers: Callable[[], bool],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """The process of `command` while the block runs, from when `answers()` first says yes. Its output goes to `log`."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
        )
    try:
        deadline = time.monotonic() + _START_S
        while not answers():
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, f"{command[0]} did not start: {log.read_text(errors='replace')}"
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def accepts(port: int) -> bool:
    """Whether something on this machine accepts TCP connections on `port`."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
