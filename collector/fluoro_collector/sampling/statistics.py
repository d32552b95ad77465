"""What clients counted under each rule, in windows of 10 s: gathered here, written to the store by a job, read by anyone."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from fluoro_collector.store.engine import Engine

log = logging.getLogger(__name__)

WINDOW_S = 10
LISTED_S = 3600  # how far back summaries go
MOST_ROWS = 50_000  # waiting for the job; more clients are added up as one
_MOST_BATCHES = 60  # not yet stored, because the store fails; then the oldest are lost
_LISTED = """
SELECT toUnixTimestamp(window) AS time, rule, sum(requests) AS requests, sum(sampled) AS sampled, sum(borrowed) AS borrowed
FROM sampling_statistics
WHERE window >= toDateTime({since:UInt32}, 'UTC')
GROUP BY time, rule
"""
_OTHERS = """
SELECT rule, client, argMax(demand, at) AS demand, argMax(quota, at) AS quota, max(at) AS reported
FROM (
    SELECT rule, client, demand, quota, toUnixTimestamp64Milli(reported) AS at
    FROM sampling_statistics
    WHERE window >= toDateTime({since:UInt32}, 'UTC') AND collector != {me:String} AND client != ''
)
GROUP BY rule, client
LIMIT {most:UInt32}
"""
_COLUMNS = {
    "window": "DateTime('UTC')",
    "rule": "LowCardinality(String)",
    "client": "String",
    "collector": "String",
    "requests": "UInt64",
    "sampled": "UInt64",
    "borrowed": "UInt64",
    "demand": "UInt64",
    "quota": "UInt64",
    "reported": "DateTime64(3, 'UTC')",
}


class Summary(NamedTuple):
    """One rule in one window; `time` is its start, epoch seconds."""

    time: int
    rule: str
    requests: int
    sampled: int
    borrowed: int


class Other(NamedTuple):
    """A client that another collector serves. `reported` is epoch seconds."""

    rule: str
    client: str
    demand: int
    quota: int
    reported: float


@dataclass
class _Row:
    requests: int = 0
    sampled: int = 0
    borrowed: int = 0
    demand: int = 0
    quota: int = 0
    reported: float = 0.0


_Key = tuple[int, str, str]  # window, rule, client


class Statistics:
    """Thread-safe. `add` never blocks on the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._me = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._storing = threading.Lock()
        self._rows: dict[_Key, _Row] = {}
        self._batches: deque[tuple[str, dict[_Key, _Row]]] = deque()
        self._stored = 0

    def add(self, rule: str, client: str, requests: int, sampled: int, borrowed: int, quota: int, now: float) -> None:
        """One client's report, and what was lent to it."""
        window = int(now) // WINDOW_S * WINDOW_S
        with self._lock:
            if (window, rule, client) not in self._rows and len(self._rows) >= MOST_ROWS:
                client = ""
            row = self._rows.setdefault((window, rule, client), _Row())
            row.requests += requests
            row.sampled += sampled
            row.borrowed += borrowed
            row.demand, row.quota, row.reported = requests, quota, now

    def store(self) -> None:
        """Write what came in since the last call. Raises StoreError, StoreBusy; nothing is lost then, nor counted twice."""
        with self._storing:
            with self._lock:
                rows, self._rows = self._rows, {}
            if rows:
                self._stored += 1
                self._batches.append((f"sampling-{self._me}-{self._stored}", rows))
            if len(self._batches) > _MOST_BATCHES:
                self._batches.popleft()
                log.warning("sampling statistics of 10 s are lost: the store has not taken any for a while")
            while self._batches:
                token, batch = self._batches[0]
                self._engine.insert("sampling_statistics", self._block(batch), token)
                self._batches.popleft()

    def others(self, since: float) -> list[Other]:
        """Clients of other collectors that reported since then."""
        params = {"since": max(int(since) // WINDOW_S * WINDOW_S, 0), "me": self._me, "most": MOST_ROWS}
        columns = self._engine.query(_OTHERS, params)
        rows = zip(*(columns[name] for name in Other._fields), strict=True)
        return [Other(rule, client, demand, quota, reported / 1000) for rule, client, demand, quota, reported in rows]

    def summaries(self, now: float) -> list[Summary]:
        """All rules' windows of the last LISTED_S, oldest first; those not stored yet too."""
        since = max(int(now - LISTED_S) // WINDOW_S * WINDOW_S, 0)
        sums: dict[tuple[int, str], list[int]] = {}
        with self._storing:
            columns = self._engine.query(_LISTED, {"since": since})
            for time, rule, *counts in zip(*(columns[name] for name in Summary._fields), strict=True):
                sums[time, rule] = counts
            with self._lock:
                waiting = [
                    (key, row)
                    for rows in (*(batch for _, batch in self._batches), self._rows)
                    for key, row in rows.items()
                ]
                for (window, rule, _), row in waiting:
                    if window >= since:
                        found = sums.setdefault((window, rule), [0, 0, 0])
                        for place, count in enumerate((row.requests, row.sampled, row.borrowed)):
                            found[place] += count
        return [Summary(*key, *counts) for key, counts in sorted(sums.items())]

    def _block(self, rows: dict[_Key, _Row]) -> dict[str, tuple[str, list[Any]]]:
        keys, values = list(rows), list(rows.values())
        columns: dict[str, list[Any]] = {
            "window": [window for window, _, _ in keys],
            "rule": [rule for _, rule, _ in keys],
            "client": [client for _, _, client in keys],
            "collector": [self._me] * len(keys),
            "requests": [row.requests for row in values],
            "sampled": [row.sampled for row in values],
            "borrowed": [row.borrowed for row in values],
            "demand": [row.demand for row in values],
            "quota": [row.quota for row in values],
            "reported": [int(row.reported * 1000) for row in values],
        }
        return {name: (kind, columns[name]) for name, kind in _COLUMNS.items()}
