"""Work that a collector repeats beside its doors: rollup, retention, statistics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def periodic(
    name: str, work: Callable[[], object], interval_s: float, failed: Callable[[], object] | None = None
) -> AsyncIterator[None]:
    """Run `work` in a thread every `interval_s` seconds; leaving waits for a run that has begun.

    A run that fails is logged, told to `failed` on the event loop, and repeated at its next turn.
    """
    stop = asyncio.Event()

    async def forever() -> None:
        while not stop.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), interval_s)
                return
            try:
                await asyncio.to_thread(work)
            except Exception:
                log.exception("%s failed; it runs again in %g s", name, interval_s)
                if failed is not None:
                    failed()

    task = asyncio.get_running_loop().create_task(forever(), name=f"fluoro-{name}")
    try:
        yield
    finally:
        stop.set()
        await task
