"""What people set through the API, as small JSON documents by kind and name: groups, sampling rules, policies, …

The newest version of a document wins, and a deletion is a version too. Reads come from a copy that is at most
`max_age_s` old, so several collectors over one store agree within that time. Changes go through `edit`: within a process
one at a time and on what is stored at that moment. Two collectors that change one document at once: the later one wins.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from .engine import Engine

MAX_AGE_S = 5.0
_READ = """
SELECT
    arraySort(groupArrayIf((name, text), NOT gone)) AS documents,
    max(newest) AS changed
FROM (
    SELECT name, argMax(document, version) AS text, argMax(deleted, version) AS gone, max(version) AS newest
    FROM configuration
    WHERE kind = {kind:String}
    GROUP BY name
)
"""

Document = dict[str, Any]


class Documents(NamedTuple):
    """All documents of a kind by name, sorted by name. Nobody may change them.

    `changed` is when the last change was made, deletions included, epoch ns; 0 = never.
    """

    by_name: dict[str, Document]
    changed: int


class _Kept(NamedTuple):
    read: float  # monotonic seconds
    documents: Documents


class Configuration:
    """Thread-safe. Blocks on the engine; never call it on the event loop. Raises StoreError, StoreBusy."""

    def __init__(
        self, engine: Engine, *, max_age_s: float = MAX_AGE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._kept: dict[str, _Kept] = {}

    def all(self, kind: str) -> Documents:
        """The documents of a kind, at most `max_age_s` old."""
        kept = self._kept.get(kind)
        if kept is not None and self._clock() - kept.read <= self._max_age_s:
            return kept.documents
        with self._lock_of(kind):
            kept = self._kept.get(kind)  # whoever held the lock may have read it
            if kept is not None and self._clock() - kept.read <= self._max_age_s:
                return kept.documents
            return self._read(kind)

    def get(self, kind: str, name: str) -> Document | None:
        return self.all(kind).by_name.get(name)

    @contextmanager
    def edit(self, kind: str) -> Iterator[Edit]:
        """What is stored now, to look at and to change; nobody else in this process changes the kind meanwhile."""
        with self._lock_of(kind):
            edit = Edit(self._engine, kind, self._read(kind))
            try:
                yield edit
            finally:
                self._kept[kind] = _Kept(self._kept[kind].read, edit.documents)

    def _lock_of(self, kind: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(kind, threading.Lock())

    def _read(self, kind: str) -> Documents:
        now = self._clock()  # before the statement: what is written while it runs may be missing
        answer = self._engine.query(_READ, {"kind": kind})
        by_name = {name: msgspec.json.decode(text) for name, text in answer["documents"][0]}
        found = Documents(by_name, answer["changed"][0])
        self._kept[kind] = _Kept(now, found)
        return found


class Edit:
    """`documents` shows each change as soon as it is durable."""

    def __init__(self, engine: Engine, kind: str, documents: Documents) -> None:
        self._engine = engine
        self._kind = kind
        self.documents = documents

    def put(self, name: str, document: Document) -> None:
        """Make or replace a document."""
        self._write(name, document, deleted=False)

    def delete(self, name: str) -> None:
        self._write(name, {}, deleted=True)

    def _write(self, name: str, document: Document, *, deleted: bool) -> None:
        version = max(time.time_ns(), self.documents.changed + 1)
        text = msgspec.json.encode(document).decode()
        self._engine.insert(
            "configuration",
            {
                "kind": ("LowCardinality(String)", [self._kind]),
                "name": ("String", [name]),
                "document": ("String", [text]),
                "deleted": ("UInt8", [int(deleted)]),
                "version": ("UInt64", [version]),
            },
        )
        found = {each: kept for each, kept in self.documents.by_name.items() if each != name}
        if not deleted:
            found[name] = msgspec.json.decode(text)  # as another process will read it
        self.documents = Documents(dict(sorted(found.items())), version)
