"""From decoded segments to durable rows: validate, wait in a bounded buffer, commit in groups, answer each sender.

One task commits. While one block is being inserted in a worker thread, the next one gathers, so many small requests
share an insert and a lone one waits for nobody. `Ingest.accept` returns only when its segments are durable.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from fluoro.model import Resource, Segment
from fluoro_collector.counters import Counters, Door
from fluoro_collector.decode.decoded import Decoded, Rejection
from fluoro_collector.decode.validate import SMALL_BYTES, check, check_resource, check_size
from fluoro_collector.store.engine import StoreBusy

log = logging.getLogger(__name__)

Batches = list[tuple[Resource, list[Segment]]]

MAX_GROUP_SEGMENTS = 100_000  # a block of this size inserts in about half a second; larger ones only add memory
CHECK_INLINE = 2_000  # segments validated on the event loop; more are validated in a thread (about 1 µs each)
MAX_BISECT_INSERTS = 256  # one bad segment among 100,000 takes 34; this many take about two seconds
RETRY_BUFFER_S = 1.0
RETRY_STORE_S = 5.0
_CODE = re.compile(r"Code: \d+")
_CODE_NAME = re.compile(r"\([A-Z][A-Z_]+\)")
NANOSECONDS_PER_MINUTE = 60_000_000_000
SECONDS_PER_MINUTE = 60


class BlockStore(Protocol):
    """The part of `store.Store` that ingest needs."""

    def insert(self, batches: Batches, token: str) -> object:
        """Store all of `batches` durably, or nothing; raises StoreBusy (retry) or StoreError. Blocks."""


class Overloaded(Exception):
    """Nothing of the request is promised: send all of it again after `retry_after_s` seconds.

    `reason` is the ledger's: "BufferFull", "StoreBusy", "StoreFailed" or "Stopping".
    """

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(f"the collector cannot take this now ({reason}); retry in {retry_after_s:g} s")
        self.reason = reason
        self.retry_after_s = retry_after_s


class Receipt(NamedTuple):
    """What became of a request: segments now durable, and those refused for good."""

    stored: int
    rejections: list[Rejection]


@dataclass(eq=False, slots=True)
class _Entry:
    """One request in the buffer. The future resolves to what the store itself refused."""

    door: Door
    batches: Batches
    count: int
    size: int
    done: asyncio.Future[list[Rejection]]


class _Item(NamedTuple):
    """One segment while a refused block is taken apart."""

    entry: _Entry
    resource: Resource
    segment: Segment


@dataclass(slots=True)
class _Outcome:
    """What an insert did to each entry of its group; built in the worker thread, applied on the loop."""

    stored: Counter[_Entry] = field(default_factory=Counter)
    refused: list[tuple[_Entry, Rejection]] = field(default_factory=list)
    failed: Counter[_Entry] = field(default_factory=Counter)
    failure: str = ""
    inserts: int = 0
    failures: int = 0
    minutes: set[int] = field(default_factory=set)
    seconds: float = 0.0


class Ingest:
    """Owns the buffer and the committer task. All methods run on one event loop; make it there.

    `max_buffer_bytes` bounds the wire size of what waits (decoded segments are several times larger in memory).
    `touched` is told the minutes that every commit has segments in (their first epoch second), in the worker thread,
    before a sender gets its answer.
    """

    def __init__(
        self,
        store: BlockStore,
        counters: Counters,
        *,
        max_buffer_bytes: int,
        touched: Callable[[set[int]], None] | None = None,
    ) -> None:
        self._store = store
        self._counters = counters
        self._max_buffer_bytes = max_buffer_bytes
        self._touched = touched
        self._waiting: deque[_Entry] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._validating = 0
        # Of its own, so that slow queries in the loop's default pool never hold up a commit.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="fluoro-ingest")
        self._boot = os.urandom(8).hex()
        self._blocks = 0
        self._committer = asyncio.get_running_loop().create_task(self._commit_forever(), name="fluoro-committer")

    async def accept(self, door: str, decoded: Decoded, size: int) -> Receipt:
        """Returns when everything valid in `decoded` is durable; `size` is its bytes on the wire, decompressed.

        Raises Overloaded. If the caller is cancelled meanwhile (its client left), the segments are stored all the same.
        """
        ledger = self._counters.door(door)
        count = sum(len(segments) for _, segments in decoded.batches)
        rejections = list(decoded.rejections)
        ledger.receive(count + len(rejections))
        _refuse_each(ledger, rejections)
        if not count:
            return Receipt(0, rejections)
        # Room is taken before anything is awaited, so no number of concurrent requests can pass the bound.
        if self._closing:
            ledger.refuse("Stopping", count)
            raise Overloaded("Stopping", RETRY_BUFFER_S)
        if self._counters.buffer_bytes + size > self._max_buffer_bytes:
            ledger.refuse("BufferFull", count)
            raise Overloaded("BufferFull", RETRY_BUFFER_S)
        self._counters.buffer_bytes += size
        self._validating += 1
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Rejection]] = loop.create_future()
        try:
            if count <= CHECK_INLINE:
                batches, invalid = _validate(decoded.batches, size)
            else:
                batches, invalid = await loop.run_in_executor(self._threads, _validate, decoded.batches, size)
            _refuse_each(ledger, invalid)
            rejections += invalid
            valid = count - len(invalid)
            if not valid:
                self._counters.buffer_bytes -= size
                return Receipt(0, rejections)
            self._waiting.append(_Entry(ledger, batches, valid, size, done))
        except BaseException:  # cancelled before the commit was promised, or a bug in a check: nothing will be stored
            self._counters.buffer_bytes -= size
            ledger.refuse("Abandoned", count)
            raise
        finally:
            self._validating -= 1
            self._wake.set()
        refused = await done
        return Receipt(valid - len(refused), rejections + refused)

    @property
    def alive(self) -> bool:
        """Whether the committer runs: nothing is accepted without it."""
        return not self._committer.done()

    async def close(self) -> None:
        """Commit everything accepted so far, refuse the rest, stop the committer. Close the doors first."""
        self._closing = True
        self._wake.set()
        await self._committer
        self._threads.shutdown()

    async def _commit_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting or self._validating or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            group = self._take_group()
            try:
                outcome = await loop.run_in_executor(self._threads, self._insert, group)
            except Exception:  # a bug of ours: these senders retry, the others must not wait for ever
                log.exception("committing %d requests failed", len(group))
                outcome = _Outcome(failure="StoreFailed", failed=Counter({entry: entry.count for entry in group}))
            self._settle(group, outcome)

    def _take_group(self) -> list[_Entry]:
        group = [self._waiting.popleft()]
        count = group[0].count
        while self._waiting and count + self._waiting[0].count <= MAX_GROUP_SEGMENTS:
            count += self._waiting[0].count
            group.append(self._waiting.popleft())
        return group

    def _settle(self, group: list[_Entry], outcome: _Outcome) -> None:
        self._counters.commits += outcome.inserts - outcome.failures
        self._counters.commit_failures += outcome.failures
        self._counters.commit_seconds += outcome.seconds
        refused: dict[_Entry, list[Rejection]] = {entry: [] for entry in group}
        for entry, rejection in outcome.refused:
            entry.door.refuse(rejection.code)
            refused[entry].append(rejection)
        for entry in group:
            entry.door.store(outcome.stored[entry])
            failed = outcome.failed[entry]
            if failed:
                entry.door.refuse(outcome.failure, failed)
            self._counters.buffer_bytes -= entry.size
            if entry.done.done():
                continue  # the sender left; the ledger has been told above
            if failed:
                entry.done.set_exception(Overloaded(outcome.failure, RETRY_STORE_S))
            else:
                entry.done.set_result(refused[entry])

    # In the worker thread.

    def _insert(self, group: list[_Entry]) -> _Outcome:
        """Insert the group as one block; when the store refuses it, find the segments it refuses."""
        outcome = _Outcome()
        started = time.monotonic()
        try:
            self._insert_block([batch for entry in group for batch in entry.batches], outcome)
        except StoreBusy as error:
            log.warning("store busy, %d requests told to retry: %s", len(group), what(error))
            outcome.failure = "StoreBusy"
            for entry in group:
                outcome.failed[entry] += entry.count
        except Exception as error:  # noqa: BLE001 - whatever a segment makes the store raise must not stop the others
            log.warning("store refused a block of %d requests, looking for the segment: %s", len(group), what(error))
            items = [_Item(e, resource, each) for e in group for resource, segments in e.batches for each in segments]
            self._bisect(items, error, outcome)
        else:
            for entry in group:
                outcome.stored[entry] += entry.count
        outcome.seconds = time.monotonic() - started
        if outcome.minutes and self._touched is not None:
            try:
                self._touched(outcome.minutes)
            except Exception:
                log.exception("rollup could not note %d changed minutes", len(outcome.minutes))
        return outcome

    def _insert_block(self, batches: Batches, outcome: _Outcome) -> None:
        outcome.inserts += 1
        self._blocks += 1
        try:
            self._store.insert(batches, f"{self._boot}-{self._blocks}")
        except BaseException:
            outcome.failures += 1
            raise
        outcome.minutes.update(
            each.start // NANOSECONDS_PER_MINUTE * SECONDS_PER_MINUTE for _, segments in batches for each in segments
        )

    def _bisect(self, refused: Sequence[_Item], error: Exception, outcome: _Outcome) -> None:
        """Split `refused` (which `error` came from) until each bad segment stands alone; store the others."""
        todo: deque[tuple[Sequence[_Item], Exception]] = deque([(refused, error)])
        bad: list[tuple[_Item, Exception]] = []
        while todo and not outcome.failure:
            items, why = todo.pop()
            if len(items) == 1 or outcome.inserts >= MAX_BISECT_INSERTS:
                bad.extend((item, why) for item in items)
                continue
            middle = len(items) // 2
            for half in (items[middle:], items[:middle]):
                if outcome.failure:
                    outcome.failed.update(item.entry for item in half)
                    continue
                try:
                    self._insert_block(_regroup(half), outcome)
                except StoreBusy:
                    outcome.failure = "StoreBusy"
                    outcome.failed.update(item.entry for item in half)
                except Exception as inner:  # noqa: BLE001 - as in _insert
                    todo.append((half, inner))
                else:
                    outcome.stored.update(item.entry for item in half)
        if len(bad) > 1 and not outcome.stored:
            # It refused each of them and took none: the store is the broken part, do not blame the data.
            outcome.failure = outcome.failure or "StoreFailed"
        if outcome.failure:
            outcome.failed.update(item.entry for item, _ in bad)
            outcome.failed.update(item.entry for items, _ in todo for item in items)
            return
        for item, why in bad:
            log.warning("segment refused by the store: %s", what(why))
            outcome.refused.append((item.entry, Rejection("StoreRefused", "the store refused this segment", _id(item))))


def _id(item: _Item) -> str:
    return f"{item.segment.id:016x}"


def what(error: BaseException) -> str:
    """An error of the store for the log: its class, and the engine's code and name for it.

    The rest of the engine's text may quote what it could not store or answer. A connection's error quotes nothing.
    """
    text = str(error)
    code = _CODE.search(text)
    if code is None:
        return f"{type(error).__name__}: {text}" if isinstance(error, StoreBusy) else type(error).__name__
    name = _CODE_NAME.search(text)
    return f"{type(error).__name__}: {code[0]} {name[0] if name else ''}".rstrip()


def _refuse_each(ledger: Door, rejections: Iterable[Rejection]) -> None:
    for code, count in Counter(rejection.code for rejection in rejections).items():
        ledger.refuse(code, count)


def _validate(batches: Batches, size: int) -> tuple[Batches, list[Rejection]]:
    """`batches` without the segments that `decode.validate` rejects, and those rejections. `size` is that on the wire."""
    now = time.time_ns()
    invalid: list[Rejection] = []
    valid: Batches = []
    for resource, segments in batches:
        good: list[Segment] = []
        unfit = check_resource(resource) if size > SMALL_BYTES else ""
        for segment in segments:
            rejection = check(segment, now) if not unfit else Rejection("InvalidResource", unfit)
            if rejection is None and size > SMALL_BYTES:
                rejection = check_size(segment)
            if rejection is None:
                good.append(segment)
            else:
                invalid.append(rejection)
        if good:
            valid.append((resource, good))
    return valid, invalid


def _regroup(items: Iterable[_Item]) -> Batches:
    """Batches of neighbouring items that share a resource."""
    batches: Batches = []
    for item in items:
        if batches and batches[-1][0] is item.resource:
            batches[-1][1].append(item.segment)
        else:
            batches.append((item.resource, [item.segment]))
    return batches
