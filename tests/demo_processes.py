"""Finds processes by a variable in their environment: children, grandchildren, orphans, whoever inherited it."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# What pytest put on sys.path, for child processes.
PYTHONPATH = os.pathsep.join(path for path in sys.path if path)


def marked(mark: str) -> list[str]:
    """Command lines of the living processes that have `mark` in their environment, without the caller."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append(f"{entry.name} {(entry / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}")
        except OSError:  # ended meanwhile, a zombie, or somebody else's
            continue
    return found


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Until `condition` is true; AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
