"""Finished segments → batches → the transport, in one thread that starts when there is something to send.

`put` is the only thing that runs in the application's threads: a length test and a deque append. Everything else is the
sender's thread: encoding, HTTP, retries. A full queue drops what is newest and counts it; the ledger

    recorded = sent + rejected + dropped(reason) + queued

holds at any quiet moment (`statistics`). `rejected` is what the collector refused, segment by segment.

Locks are `_thread`'s own, not gevent's: the thread is a real one, and no greenlet ever waits for it except in `flush`.
"""

from __future__ import annotations

import atexit
import os
import sys
from _random import Random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from fluoro import __version__, diagnostics, forks
from fluoro.context import current_node
from fluoro.detection import NOWHERE, Place
from fluoro.model import Resource, Segment
from fluoro.real_threads import original
from fluoro.recorder import unrecorded
from fluoro.settings import Settings
from fluoro.transport import Transport

MAX_QUEUE = 65_536
MAX_QUEUE_BYTES = 64 * 1024 * 1024  # estimated from the size of what was encoded lately
BATCH = 512  # segments that are sent without waiting for more
MAX_BATCH = 2_048  # when as many wait already; one request costs as much as encoding 100 segments
LINGER_S = 0.25
EXIT_S = 2.0

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 30.0
_SMALLEST_QUEUE = BATCH
_BUSY = MAX_QUEUE // 8  # segments that wait; from there on being sent at all goes before the application's next slice
_NEVER = float("inf")


class _Marker:
    """Put into the queue by `flush`, which waits until `deadline` (monotonic); its lock is released when everything
    before it is settled.
    """

    __slots__ = ("deadline", "settled")

    def __init__(self, deadline: float, settled: Any) -> None:
        self.deadline = deadline
        self.settled = settled


class Sender:
    """One per process, made by `fluoro.install()`. `put` is the recorder's sink. `place()` says where we run; it may take
    its time, in the thread.
    """

    def __init__(self, settings: Settings, transport: Transport, place: Callable[[], Place] = lambda: NOWHERE) -> None:
        self._settings = settings
        self._transport = transport
        self._place = place
        self._jitter = Random()
        self._renew()
        forks.in_child(self._forked)
        atexit.register(self.close)

    def _forked(self) -> None:
        """In a child: its parent sends what was queued, over the parent's connection."""
        self._transport.forget()
        self._renew()

    def _renew(self) -> None:
        """The state of a process that has sent nothing."""
        self._queue: deque[Segment | _Marker] = deque()
        self._limit = MAX_QUEUE
        # True when the next `put` must do something: the thread has not started, or sleeps.
        self._attention = True
        self._started = False
        self._flushes: set[_Marker] = set()  # while somebody waits in `flush` nothing waits longer than it must
        self._deadline = _NEVER  # monotonic; set by `close`, after it nothing is tried again
        self._origin = ""
        self._in_flight = 0
        self._full = 0  # dropped because the queue was full; written by the application's threads
        self._sent = self._rejected = self._retries = self._batches = self._trimmed = 0
        self._dropped: dict[str, int] = {}
        # Real locks and a real thread, also after gevent's monkey.patch_all().
        self._allocate_lock = original("_thread", "allocate_lock")
        self._sleep = original("time", "sleep")
        self._bell = self._allocate_lock()  # a binary semaphore: released to wake the thread
        self._bell.acquire()
        self._starting = self._allocate_lock()
        self._jitter.seed(int.from_bytes(os.urandom(8), "big"))

    # ---- in the application's threads --------------------------------------------------------------------------------

    def put(self, segment: Segment) -> None:
        """Queue a finished segment. Never blocks, never raises."""
        queue = self._queue
        size = len(queue)
        if size < self._limit:
            queue.append(segment)
            if self._attention or size == BATCH:
                self._rouse()
        else:
            self._full += 1

    def flush(self, timeout_s: float = EXIT_S) -> bool:
        """Wait until everything recorded before is settled: sent, refused or given up. False after `timeout_s`.

        Meanwhile a collector that is away is asked again soon, not after the usual growing wait.
        """
        if not self._queue and not self._in_flight:
            return True
        marker = _Marker(monotonic() + timeout_s, self._allocate_lock())
        marker.settled.acquire()
        self._flushes.add(marker)
        try:
            if not self._start_thread():
                return self._drain_here(marker.deadline)
            self._queue.append(marker)
            self._ring()
            settled: bool = marker.settled.acquire(True, max(0.0, timeout_s))
            return settled
        finally:
            self._flushes.discard(marker)

    def close(self) -> None:
        """The process ends, or tracing: wait at most two seconds for what is queued, say what could not be sent, and let
        the thread end.
        """
        atexit.unregister(self.close)
        self._deadline = monotonic() + EXIT_S
        in_time = self.flush(EXIT_S)
        found = self.statistics()
        # A drop is told at most once a minute: this is how many there were in all.
        lost = sum(found["dropped"].values()) + (0 if in_time else found["queued"])
        if lost:
            diagnostics.warn("exit", f"{lost} of {found['recorded']} segments of this process could not be delivered")
        self._ring()

    def statistics(self) -> dict[str, Any]:
        """`recorded`, `sent`, `rejected`, `dropped` by reason, `queued`, `batches`, `retries`, `trimmed`; of this
        process. Trimmed segments are sent ones that went without their largest parts: over a megabyte, or over UDP what
        fits a datagram.
        """
        dropped = dict(self._dropped)
        if self._full:
            dropped["queue full"] = self._full
        queued = len(self._queue) + self._in_flight
        return {
            "recorded": self._sent + self._rejected + sum(dropped.values()) + queued,
            "sent": self._sent,
            "rejected": self._rejected,
            "dropped": dropped,
            "queued": queued,
            "batches": self._batches,
            "retries": self._retries,
            "trimmed": self._trimmed,
        }

    def _rouse(self) -> None:
        self._attention = False
        if self._start_thread():
            self._ring()

    def _ring(self) -> None:
        with suppress(RuntimeError):  # it is ringing already
            self._bell.release()

    def _start_thread(self) -> bool:
        """False when no thread can be started any more, because the interpreter is shutting down."""
        if not self._started and self._starting.acquire(False):
            self._started = True
            try:
                original("_thread", "start_new_thread")(self._main, ())
            except RuntimeError:
                self._started = False
                self._starting.release()
                self._attention = True
                return False
            self._flush_at_multiprocessing_exit()
        return True

    def _flush_at_multiprocessing_exit(self) -> None:
        """A multiprocessing child leaves by `os._exit`, past `atexit`; its own finalizers do run."""
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, self.close, exitpriority=-100)

    # ---- in the sender's thread --------------------------------------------------------------------------------------

    def _main(self) -> None:
        current_node.set(unrecorded())  # so that nothing traces our own HTTP
        queue, bell, resource = self._queue, self._bell, self._describe()
        while queue or self._deadline == _NEVER:
            if not queue:
                self._attention = True
                if not queue:
                    bell.acquire()
                self._attention = False
            if len(queue) < BATCH and monotonic() >= self._hurry_until():
                bell.acquire(True, LINGER_S)
            self._send_next(resource)
        # Closed. What still comes starts a thread again.
        self._transport.close()
        self._started = False
        self._starting.release()
        self._attention = True

    def _drain_here(self, deadline: float) -> bool:
        """Send from the calling thread, when no thread can be started any more."""
        token = current_node.set(unrecorded())
        self._deadline = deadline
        try:
            resource = self._describe()
            while self._queue and monotonic() < deadline:
                self._send_next(resource)
        finally:
            self._transport.close()
            current_node.reset(token)
        return not self._queue

    def _send_next(self, resource: Resource) -> None:
        """Take up to a batch from the queue and settle it, and the markers that stood in it."""
        take = self._queue.popleft
        # Counted before it leaves the queue, so that `flush` never sees neither.
        self._in_flight = size = min(len(self._queue), MAX_BATCH)
        batch: list[Any] = [take() for _ in range(size)]
        markers: list[_Marker] = []
        if _Marker in map(type, batch):
            markers = [item for item in batch if type(item) is _Marker]
            batch = [item for item in batch if type(item) is not _Marker]
        self._in_flight = len(batch)
        if batch:
            try:
                self._deliver(batch, resource)
            except Exception as error:  # noqa: BLE001  the thread must live; the application goes on
                self._drop("internal error", len(batch), diagnostics.describe(error))
                diagnostics.internal_error("sender", error)
        self._in_flight = 0
        for marker in markers:
            marker.settled.release()

    def _give_way(self) -> None:
        """Between two chunks: offer the GIL, unless the application records faster than it can be sent like that."""
        if len(self._queue) < _BUSY:
            self._sleep(0)

    def _describe(self) -> Resource:
        try:
            place = self._place()
        except Exception as error:  # noqa: BLE001  the thread must live
            diagnostics.internal_error("sender.place", error)
            place = NOWHERE
        self._origin = place.origin
        return _resource(self._settings, place)

    def _deliver(self, batch: list[Segment], resource: Resource) -> None:
        origin = self._origin
        if origin:
            for segment in batch:
                if not segment.subsegment and not segment.origin:
                    segment.origin = origin
        body, encoded_bytes, lost, trimmed = self._transport.encode(resource, batch, self._give_way)
        if lost:
            self._drop("not encodable", lost, "segments hold values that cannot be encoded")
        if trimmed:
            self._trimmed += trimmed
            diagnostics.warn("trimmed", f"{trimmed} segments were too large and went without some parts")
        size = len(batch) - lost
        self._limit = max(_SMALLEST_QUEUE, min(MAX_QUEUE, MAX_QUEUE_BYTES * len(batch) // max(encoded_bytes, 1)))
        wait_s = _FIRST_WAIT_S
        while True:
            reply = self._transport.send(body, self._timeout_s())
            if reply.delivered:
                self._batches += 1
                self._sent += size - reply.rejected - reply.lost
                if reply.lost:
                    self._drop("not sent", reply.lost, reply.reason)
                if reply.rejected:
                    self._rejected += reply.rejected
                    diagnostics.warn("rejected", f"the collector refused {reply.rejected} segments of a batch")
                return
            if reply.too_large and len(batch) > 1:
                half = len(batch) // 2
                self._deliver(batch[:half], resource)
                self._deliver(batch[half:], resource)
                return
            if not reply.retry:
                self._drop("refused", size, reply.reason)
                return
            self._retries += 1
            pause_s = max(reply.retry_after_s, wait_s * (0.5 + self._jitter.random()))
            if monotonic() + min(pause_s, _FIRST_WAIT_S) >= self._deadline:
                self._drop("not delivered at exit", size, reply.reason)
                return
            diagnostics.warn("retry", f"{reply.reason}; {len(self._queue) + size} segments wait")
            self._pause(pause_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _pause(self, seconds: float) -> None:
        """Wait before a retry; a flush shortens it."""
        end = monotonic() + seconds
        while True:
            now = monotonic()
            hurry = now < self._hurry_until()
            left = min(end - now, _FIRST_WAIT_S) if hurry else end - now
            if left <= 0:
                return
            if hurry:
                self._sleep(left)
                return
            self._bell.acquire(True, left)  # a full batch rings too: then the wait goes on

    def _hurry_until(self) -> float:
        """The latest deadline of those that wait in `flush` now; 0 when nobody does."""
        return max((marker.deadline for marker in tuple(self._flushes)), default=0.0)

    def _timeout_s(self) -> float | None:
        left = self._deadline - monotonic()
        return None if left > 10 else max(left, 0.05)

    def _drop(self, reason: str, segments: int, detail: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + segments
        diagnostics.warn(f"dropped {reason}", f"{segments} segments dropped: {detail}")


def _resource(settings: Settings, place: Place) -> Resource:
    """The process we run in, in OpenTelemetry's resource names."""
    found = {**place.attributes, **settings.attributes}
    described_version = str(found.pop("service.version", ""))
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Resource(
        settings.service_name,
        settings.service_version or described_version,
        settings.environment,
        os.uname().nodename,
        {
            "telemetry.sdk.name": "fluoro",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": __version__,
            "process.pid": os.getpid(),
            "process.runtime.name": sys.implementation.name,
            "process.runtime.version": version,
            **found,
        },
    )
