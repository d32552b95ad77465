"""The service map by minute, kept up to date: `segments` → `nodes_1m`, `edges_1m`.

A minute is always computed anew from all its de-duplicated segments and replaced as a whole: every row of a run carries
the run's version, and readers use only the rows of a minute's greatest version. So late data corrects the picture,
duplicates count once, and a node that is gone (an inferred one whose callee reported late) leaves no trace. Each
recomputed minute also gets a row with an empty key: it says which version is current even when nothing is left.

A new row can change other minutes of its trace: a late callee takes the inferred node away from its caller's minute. So
a dirty minute makes all minutes dirty in which its new traces have rows (within `REACH`).

A trace arrives in pieces, from several senders. Rows that came in during the last `settle_s` seconds are not settled: the
map does not yet draw what the missing pieces would deny (`graph_minutes.sql`), and their minutes stay dirty.

Questions compute dirty minutes live, the newest first, as long as these hold at most `live_rows` rows: what is over that
answers as of the last run. Answers are kept until a commit, a run, or rows that became settled change them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fluoro_collector.query.graph_minutes import ALL_SETTLED, MINUTE, Live, graph_minutes
from fluoro_collector.query.memo import Memo
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

REACH = 3600  # seconds around a minute in which its traces are looked at; as in graph_minutes.sql
CHUNK_ROWS = 200_000  # segments computed in one statement: bounds its memory
CHUNK_MINUTES = 120
LIVE_ROWS = 200_000  # segments in the dirty minutes of one question; more wait for the next run
# A row gets `received` before its insert is committed, and clocks of several collectors differ.
MARGIN_MS = 300_000
# A crash in the middle of a run loses at most what came in since the run before it.
RESTART_MARGIN_MS = 3_600_000
# OpenTelemetry SDKs send every 5 s, ours every 0.25 s; a lost second is sent again.
SETTLE_S = 10.0

_LOW = "LowCardinality(String)"
_FIGURES = {
    "ok": "UInt64",
    "error": "UInt64",
    "throttle": "UInt64",
    "fault": "UInt64",
    "total": "UInt64",
    "total_time": "UInt64",
    "min_time": "UInt64",
    "max_time": "UInt64",
    "histogram": "Map(UInt8, UInt64)",
    "version": "UInt64",
}
NODE_COLUMNS = {
    "minute": "DateTime('UTC')",
    "environment": _LOW,
    "name": _LOW,
    "type": _LOW,
    "inferred": "UInt8",
    "root": "UInt8",
    **_FIGURES,
}
EDGE_COLUMNS = {
    "minute": "DateTime('UTC')",
    "environment": _LOW,
    "source_name": _LOW,
    "source_type": _LOW,
    "target_name": _LOW,
    "target_type": _LOW,
    "kind": _LOW,
    **_FIGURES,
}
_RENAMED = {"name": "target_name", "type": "target_type", "kind": "relation"}
_EMPTY: dict[str, Any] = {"UInt8": 0, "UInt64": 0, _LOW: "", "Map(UInt8, UInt64)": {}}


class _Report(NamedTuple):
    """What is known of a dirty minute: serial number and monotonic time of the last report, epoch ms of the first."""

    serial: int
    last: float
    first_ms: int


class Rollup:
    """Thread-safe. `touched` never blocks on the engine; `run_once` and `dirty` do."""

    def __init__(self, engine: Engine, *, settle_s: float = 0, live_rows: int = LIVE_ROWS) -> None:
        self._engine = engine
        self._settle_s = settle_s
        self._live_rows = live_rows
        self._memo = Memo()
        self._lock = threading.Lock()
        self._running = threading.Lock()
        self._looking_up = threading.Lock()
        self._touched: dict[int, _Report] = {}
        self._serial = 0
        self._unsettled: deque[tuple[float, int]] = deque()  # monotonic time and serial of the last commits
        self._settled_serial = 0
        self._version = -1  # of the last run; -1 = not looked up yet
        self._since_ms = 0  # rows received later may not be rolled up

    def touched(self, minutes: Iterable[int]) -> None:
        """Rows were committed whose `start` lies in these minutes (epoch seconds; any second of the minute will do)."""
        with self._lock:
            self._serial += 1
            now, now_ms = time.monotonic(), time.time_ns() // 1_000_000
            self._unsettled.append((now, self._serial))
            self._settle(now)
            for second in minutes:
                minute = second // MINUTE * MINUTE
                before = self._touched.get(minute)
                self._touched[minute] = _Report(self._serial, now, before.first_ms if before else now_ms)

    def run_once(self) -> int:
        """Recompute what is dirty and settled; the number of minutes replaced. Raises StoreError, StoreBusy; then all
        stays dirty.
        """
        with self._running:
            self._look_up()
            settled = time.monotonic() - self._settle_s
            with self._lock:
                touched = {minute: report for minute, report in self._touched.items() if report.last <= settled}
            if not touched:
                return 0
            now = time.time_ns()
            version = max(now, self._version + 1)
            minutes = self._widen(sorted(touched))
            for chunk in self._chunks(minutes):
                self._replace(chunk, version)
            with self._lock:
                for minute, report in touched.items():
                    if self._touched[minute] == report:
                        del self._touched[minute]
                self._version = version
                waiting = (report.first_ms for report in self._touched.values())
                self._since_ms = min(waiting, default=now // 1_000_000) - MARGIN_MS
            return len(minutes)

    def dirty(self, first: int, last: int) -> Live:
        """The minutes in [first, last) to compute live, and since when rows are not settled."""
        self._look_up()
        settled_ms = ALL_SETTLED if not self._settle_s else time.time_ns() // 1_000_000 - int(self._settle_s * 1000)
        with self._lock:
            self._settle(time.monotonic())
            touched = sorted(m for m in self._touched if first - REACH <= m < last + REACH)
            state, version = (self._serial, self._settled_serial), self._version
        rows = self._memo.get(("dirty", version, state, *touched), lambda: self._rows(self._widen(touched)))
        minutes: list[int] = []
        total = 0
        for minute in sorted(rows, reverse=True):
            if first <= minute < last:
                total += rows[minute]
                if total > self._live_rows:
                    break
                minutes.append(minute)
        return Live(minutes[::-1], settled_ms, self._memo, state, version)

    def _settle(self, now: float) -> None:
        """Note which commits are settled. Under the lock."""
        while self._unsettled and self._unsettled[0][0] <= now - self._settle_s:
            self._settled_serial = self._unsettled.popleft()[1]

    def _look_up(self) -> None:
        """Once per process: what an earlier process left undone."""
        with self._looking_up:
            if self._version >= 0:
                return
            version = int(self._engine.query("SELECT max(version) AS version FROM nodes_1m")["version"][0])
            since = max(version // 1_000_000 - RESTART_MARGIN_MS, 0)
            found = self._engine.query(statement("unrolled_minutes"), {"since": since, "margin": MARGIN_MS})
            report = _Report(0, time.monotonic(), since)
            with self._lock:
                for minute in found["minute"]:
                    self._touched.setdefault(minute, report)
                self._since_ms = since
                self._version = version

    def _widen(self, minutes: list[int]) -> list[int]:
        """These minutes and all others of the traces that got rows in them."""
        found = set(minutes)
        for group in _neighbours(minutes):
            params = {"minutes": group, "first": group[0], "last": group[-1] + MINUTE, "since": self._since_ms}
            found.update(self._engine.query(statement("related_minutes"), params)["minute"])
        return sorted(found)

    def _rows(self, minutes: list[int]) -> dict[int, int]:
        """How many rows each of these minutes has, copies included."""
        rows = dict.fromkeys(minutes, 0)
        for group in _neighbours(minutes):
            params = {"minutes": group, "first": group[0], "last": group[-1] + MINUTE}
            counted = self._engine.query(statement("rows_by_minute"), params)
            rows.update(zip(counted["minute"], counted["rows"], strict=True))
        return rows

    def _chunks(self, minutes: list[int]) -> Iterator[list[int]]:
        """Runs of neighbouring minutes with at most CHUNK_ROWS segments (or one minute)."""
        rows = self._rows(minutes)
        for group in _neighbours(minutes):
            chunk: list[int] = []
            size = 0
            for minute in group:
                more = rows[minute]
                if chunk and (size + more > CHUNK_ROWS or len(chunk) >= CHUNK_MINUTES):
                    yield chunk
                    chunk, size = [], 0
                chunk.append(minute)
                size += more
            yield chunk

    def _replace(self, minutes: list[int], version: int) -> None:
        """Edges first: a minute counts as done by its nodes."""
        columns = graph_minutes(self._engine, minutes)
        relations = columns["relation"]
        edges = [row for row, relation in enumerate(relations) if relation != "node"]
        nodes = [row for row, relation in enumerate(relations) if relation == "node"]
        self._engine.insert("edges_1m", _block(EDGE_COLUMNS, columns, edges, minutes, version))
        self._engine.insert("nodes_1m", _block(NODE_COLUMNS, columns, nodes, minutes, version))


def _block(
    spec: dict[str, str], columns: dict[str, list[Any]], rows: list[int], minutes: list[int], version: int
) -> dict[str, tuple[str, list[Any]]]:
    """The chosen rows in the table's columns, and one row with an empty key for each minute."""
    block: dict[str, tuple[str, list[Any]]] = {}
    for name, kind in spec.items():
        if name == "version":
            values: list[Any] = [version] * (len(rows) + len(minutes))
        else:
            source = columns[name if name in columns else _RENAMED[name]]
            values = [source[row] for row in rows]
            values += minutes if name == "minute" else [_EMPTY[kind]] * len(minutes)
        block[name] = (kind, values)
    return block


def _neighbours(minutes: list[int]) -> Iterator[list[int]]:
    """Split ascending minutes where more than REACH lies between two: one late row must not make a query read days."""
    start = 0
    for index in range(1, len(minutes) + 1):
        if index == len(minutes) or minutes[index] - minutes[index - 1] > REACH:
            yield minutes[start:index]
            start = index
