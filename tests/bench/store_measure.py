"""Time, memory and caches of a process with the embedded engine in it."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fluoro_collector.store.engine import Engine

SLOW_S = 2.0  # what takes longer is repeated less often
_CACHES = (
    "MARK CACHE",
    "UNCOMPRESSED CACHE",
    "PRIMARY INDEX CACHE",
    "INDEX MARK CACHE",
    "INDEX UNCOMPRESSED CACHE",
    "QUERY CONDITION CACHE",
    "TEXT INDEX CACHES",
    "MMAP CACHE",
)


class Cost(NamedTuple):
    """Seconds: on the clock, and of CPU of all threads of the process, the engine's too."""

    wall: float
    cpu: float


def cost(work: Callable[[], Any]) -> tuple[Any, Cost]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, Cost(time.perf_counter() - wall, time.process_time() - cpu)


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(each.wall for each in costs), statistics.median(each.cpu for each in costs))


def forget(engine: Engine, directory: Path) -> None:
    """Empty the engine's caches and the page cache of its files (those that are not on disk yet stay)."""
    for cache in _CACHES:
        engine.command(f"SYSTEM DROP {cache}")
    for folder, _, names in os.walk(directory / "store"):
        for name in names:
            try:
                file = os.open(os.path.join(folder, name), os.O_RDONLY)  # noqa: PTH118 - tens of thousands of them
            except FileNotFoundError:
                continue  # a part that was merged away
            try:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


def reset_peak() -> None:
    """`peak_mb` counts from here."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Greatest resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


def disk(engine: Engine) -> dict[str, tuple[int, int]]:
    """(rows, bytes on disk) of each table."""
    found = engine.query(
        "SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts"
        " WHERE active AND database = currentDatabase() GROUP BY table"
    )
    return {
        table: (rows, size) for table, rows, size in zip(found["table"], found["rows"], found["bytes"], strict=True)
    }
