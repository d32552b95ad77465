"""What is dirty, and the run that makes it clean."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fluoro_collector.query.graph.graph_minutes import ALL_SETTLED, MINUTE, Live
from fluoro_collector.query.graph.levels import DAYS, HOURS, Level
from fluoro_collector.query.memo import Memo
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

from .completions import replace_completions, stale_completions
from .minutes import replace_minutes
from .periods import replace_periods, stale_periods, starts
from .versions import next_version

REACH = 3600  # seconds around a minute in which its traces are looked at; as in observations.sql
CHUNK_ROWS = 200_000  # segments computed in one statement: bounds its memory
CHUNK_SECONDS = 8 * 3600  # from its first minute to its last: what it reads is bounded too
LIVE_ROWS = 200_000  # segments in the dirty minutes of one question; more wait for the next run
# A row gets `received` before its insert is committed, and clocks of several collectors differ.
MARGIN_MS = 300_000
# A crash in the middle of a run loses at most what came in since the run before it.
RESTART_MARGIN_MS = 3_600_000
# OpenTelemetry SDKs send every 5 s, ours every 0.25 s; a lost second is sent again.
SETTLE_S = 10.0

PERIODS_EVERY_S = 300.0  # meanwhile, an hour or a day that changed is read in what is below it
COMPLETIONS_EVERY_S = 300.0  # an hour's completions are computed again after this at the earliest
COMPLETIONS_PER_RUN = 2  # hours; the newest first, more wait for the next run

_PERIODS = (HOURS, DAYS)  # each is added up from the one before


class _Report(NamedTuple):
    """What is known of a dirty minute: serial number and monotonic time of the last report, epoch ms of the first."""

    serial: int
    last: float
    first_ms: int


class Rollup:
    """Thread-safe. `touched` never blocks on the engine; `run_once` and `dirty` do.

    `periods_every_s`: hours and days are added up again after this at the earliest.
    """

    def __init__(
        self, engine: Engine, *, settle_s: float = 0, live_rows: int = LIVE_ROWS, periods_every_s: float = 0
    ) -> None:
        self._engine = engine
        self._settle_s = settle_s
        self._live_rows = live_rows
        self._periods_every_s = periods_every_s
        self._memo = Memo()
        self._lock = threading.Lock()
        self._running = threading.Lock()
        self._looking_up = threading.Lock()
        self._touched: dict[int, _Report] = {}
        self._stale: dict[Level, set[int]] = {level: set() for level in _PERIODS}
        # Only a run looks at these three.
        self._periods_at = -math.inf  # monotonic time
        self._to_complete: set[int] = set()  # hours
        self._completed: dict[int, float] = {}  # hour → monotonic time
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
        """Recompute what is dirty and settled; the number of minutes replaced. Raises StoreError, StoreBusy; then what was
        not done stays dirty.
        """
        with self._running:
            self._look_up()
            settled = time.monotonic() - self._settle_s
            with self._lock:
                touched = {minute: report for minute, report in self._touched.items() if report.last <= settled}
            minutes = self._replace_touched(touched) if touched else []
            self._replace_stale()
            self._to_complete |= starts(minutes, HOURS)
            self._complete()
            return len(minutes)

    def _replace_touched(self, touched: dict[int, _Report]) -> list[int]:
        now = time.time_ns()
        version = max(now, self._version + 1)
        minutes = self._widen(sorted(touched))
        for chunk in self._chunks(minutes):
            with self._lock:
                for level in _PERIODS:  # before: an hour must not answer for minutes that have changed since
                    self._stale[level] |= starts(chunk, level)
            version = max(version, next_version(self._engine, "traces", "minute", chunk))
            self._replace(chunk, version)
        with self._lock:
            for minute, report in touched.items():
                if self._touched[minute] == report:
                    del self._touched[minute]
            self._version = version
            waiting = (report.first_ms for report in self._touched.values())
            self._since_ms = min(waiting, default=now // 1_000_000) - MARGIN_MS
        return minutes

    def _replace(self, minutes: list[int], version: int) -> None:
        replace_minutes(self._engine, minutes, version)

    def _replace_stale(self) -> None:
        """Add up what is stale, unless that was done lately: done with every run it would be half of a small one."""
        now = time.monotonic()
        if now - self._periods_at < self._periods_every_s:
            return
        done = False
        for level in _PERIODS:
            with self._lock:
                stale = set(self._stale[level])
            if stale:
                replace_periods(self._engine, level, stale)
                done = True
                with self._lock:
                    self._stale[level] -= stale
                    self._version += 1
        if done:
            self._periods_at = now

    def _complete(self) -> None:
        now = time.monotonic()
        self._completed = {hour: at for hour, at in self._completed.items() if now - at < COMPLETIONS_EVERY_S}
        waiting = sorted(self._to_complete - self._completed.keys(), reverse=True)
        for hour in waiting[:COMPLETIONS_PER_RUN]:
            replace_completions(self._engine, hour)
            self._to_complete.remove(hour)
            self._completed[hour] = now

    def dirty(self, first: int, last: int) -> Live:
        """The minutes in [first, last) to compute live, the hours and days not to be used, and since when rows are not
        settled.
        """
        self._look_up()
        settled_ms = ALL_SETTLED if not self._settle_s else time.time_ns() // 1_000_000 - int(self._settle_s * 1000)
        with self._lock:
            self._settle(time.monotonic())
            touched = sorted(m for m in self._touched if first - REACH <= m < last + REACH)
            state, version = (self._serial, self._settled_serial), self._version
            hours, days = (
                [each for each in self._stale[level] | self._young(level) if first <= each < last] for level in _PERIODS
            )
        rows = self._memo.get(("dirty", version, state, *touched), lambda: self._rows(self._widen(touched)))
        minutes: list[int] = []
        total = 0
        for minute in sorted(rows, reverse=True):
            if first <= minute < last:
                total += rows[minute]
                if total > self._live_rows:
                    break
                minutes.append(minute)
        return Live(minutes[::-1], settled_ms, self._memo, state, version, hours, days)

    def _young(self, level: Level) -> set[int]:
        """Periods that another collector may not have added up yet, or not to their end."""
        if not self._periods_every_s:
            return set()
        now = int(time.time())
        return starts((now - 2 * int(self._periods_every_s), now), level)

    def _settle(self, now: float) -> None:
        """Note which commits are settled. Under the lock."""
        while self._unsettled and self._unsettled[0][0] <= now - self._settle_s:
            self._settled_serial = self._unsettled.popleft()[1]

    def _look_up(self) -> None:
        """Once per process: what an earlier process left undone."""
        with self._looking_up:
            if self._version >= 0:
                return
            version = int(self._engine.query("SELECT max(version) AS version FROM traces")["version"][0])
            since = max(version // 1_000_000 - RESTART_MARGIN_MS, 0)
            found = self._engine.query(statement("unrolled_minutes"), {"since": since, "margin": MARGIN_MS})
            stale = {level: stale_periods(self._engine, level, since * 1_000_000) for level in _PERIODS}
            for hour in stale[HOURS]:
                stale[DAYS] += starts([hour], DAYS)
            self._to_complete.update(stale_completions(self._engine))
            report = _Report(0, time.monotonic(), since)
            with self._lock:
                for minute in found["minute"]:
                    self._touched.setdefault(minute, report)
                for level, periods in stale.items():
                    self._stale[level].update(periods)
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
        """Runs of neighbouring minutes with at most CHUNK_ROWS segments (or one minute), each within CHUNK_SECONDS."""
        rows = self._rows(minutes)
        for group in _neighbours(minutes):
            chunk: list[int] = []
            size = 0
            for minute in group:
                more = rows[minute]
                if chunk and (size + more > CHUNK_ROWS or minute - chunk[0] >= CHUNK_SECONDS):
                    yield chunk
                    chunk, size = [], 0
                chunk.append(minute)
                size += more
            yield chunk


def _neighbours(minutes: list[int]) -> Iterator[list[int]]:
    """Split ascending minutes where more than REACH lies between two: one late row must not make a query read days."""
    start = 0
    for index in range(1, len(minutes) + 1):
        if index == len(minutes) or minutes[index] - minutes[index - 1] > REACH:
            yield minutes[start:index]
            start = index
