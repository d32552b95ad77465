"""Where queries run: threads of their own, bounded in number, in waiting and in time.

So what people ask never takes the threads that ingest, the rollup and /readyz need, and a question nobody waits for any
more is not asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from fluoro_collector.store.engine import Engine, StoreBusy

T = TypeVar("T")

THREADS = 4
MAX_WAITING = 100  # more are answered 503 at once
MAX_SECONDS = 30  # for one question


_TIMEOUT_EXCEEDED = "Code: 159."
_deadline: ContextVar[float] = ContextVar("deadline")  # of the question that runs in this thread


def is_timeout(busy: StoreBusy) -> bool:
    """Whether a question was given up because it took over MAX_SECONDS."""
    return _TIMEOUT_EXCEEDED in str(busy)


class Readers:
    """Make one on the running loop for all routes of a process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="fluoro-query")
        self._free = asyncio.Semaphore(THREADS)
        self._waiting = 0

    async def run(self, request: Request, function: Callable[[], T]) -> T:
        """`function` in a thread. Raises StoreBusy when too many wait, ClientDisconnect when the client has left."""
        if self._waiting >= MAX_WAITING:
            raise StoreBusy("too many queries are waiting")
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        try:
            left = await request.is_disconnected()
        except BaseException:
            self._free.release()
            raise
        if left:
            self._free.release()
            raise ClientDisconnect
        call = asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, _timed, function)
        # A handler that is cancelled leaves its thread running: the place is free only when that is done.
        call.add_done_callback(lambda _: self._free.release())
        return await call

    async def _wait(self) -> None:
        self._waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), MAX_SECONDS)
        except asyncio.TimeoutError:
            raise StoreBusy("other queries took all the time there was to wait") from None
        finally:
            self._waiting -= 1


def _timed(function: Callable[[], T]) -> T:
    _deadline.set(time.monotonic() + MAX_SECONDS)
    return function()


class TimedEngine:
    """An engine for `Readers`: the statements of one question share its MAX_SECONDS, then StoreBusy (`is_timeout`)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.cluster = engine.cluster

    def query(
        self, sql: str, params: Mapping[str, Any] | None = None, settings: Mapping[str, float] | None = None
    ) -> dict[str, list[Any]]:
        left = _deadline.get() - time.monotonic()
        if left <= 0:
            raise StoreBusy(f"{_TIMEOUT_EXCEEDED} The question took over {MAX_SECONDS} s")
        return self._engine.query(sql, params, {**(settings or {}), "max_execution_time": left})

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        self._engine.command(sql, params)

    def insert(self, table: str, columns: Mapping[str, tuple[str, Sequence[Any]]], token: str = "") -> None:
        self._engine.insert(table, columns, token)

    def close(self) -> None:
        self._engine.close()
