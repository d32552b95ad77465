"""Which work on old data is finished: table `maintenance`, so that long work is done once and goes on after a stop."""

from __future__ import annotations

import time
from typing import Any

from .engine import Engine

RETENTION = "retention"  # name: a day, "2026-01-31"
IMPORT = "import"  # name: "<export>/<file>"


def finished(engine: Engine, kind: str) -> set[str]:
    """The names of this kind that are done."""
    sql = "SELECT DISTINCT name FROM maintenance WHERE kind = {kind:String}"
    return set(engine.query(sql, {"kind": kind})["name"])


def finish(engine: Engine, kind: str, name: str) -> None:
    """Remember that `name` is done. Remembering it twice is harmless."""
    moment = time.time_ns() // 1_000_000
    columns: dict[str, tuple[str, list[Any]]] = {
        "kind": ("LowCardinality(String)", [kind]),
        "name": ("String", [name]),
        "finished": ("DateTime64(3, 'UTC')", [moment]),
    }
    engine.insert("maintenance", columns)
