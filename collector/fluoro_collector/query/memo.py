"""Answers kept while nothing changed: a map that is looked at every few seconds is computed once per change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

SIZE = 64
MAX_AGE_S = 30.0  # what other collectors stored in the same database shows after this


class _Entry(NamedTuple):
    made: float
    result: Future[Any]


class Memo:
    """Thread-safe. The key must hold everything the answer depends on, except what others write to the store."""

    def __init__(
        self, *, size: int = SIZE, max_age_s: float = MAX_AGE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._size = size
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[Hashable, _Entry] = {}

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """`compute()`, or what it returned for this key. Callers that come meanwhile wait for the one that computes.

        Nobody may change the result. What `compute` raises is raised to all who wait, and is not kept.
        """
        with self._lock:
            now = self._clock()
            entry = self._entries.get(key)
            mine = entry is None or now - entry.made > self._max_age_s
            if entry is None or mine:
                self._entries.pop(key, None)
                entry = self._entries[key] = _Entry(now, Future())
                while len(self._entries) > self._size:
                    del self._entries[next(iter(self._entries))]
        if mine:
            try:
                entry.result.set_result(compute())
            except BaseException as error:  # noqa: BLE001 - raised below, to all who wait
                with self._lock:
                    if self._entries.get(key) is entry:
                        del self._entries[key]
                entry.result.set_exception(error)
        kept: T = entry.result.result()
        return kept
