"""A real uvicorn in a thread, on a free loopback port."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    async def main_loop(self) -> None:
        """As the original, which looks every 0.1 s only whether it shall stop."""
        while not await self.on_tick(0):  # noqa: ASYNC110  set by another thread
            await asyncio.sleep(0.005)


@contextmanager
def serve_asgi(app: Any, **config: Any) -> Iterator[int]:
    # httptools, which uvicorn prefers when it is installed, answers unknown methods itself: h11 lets them through.
    config = {"http": "h11", "ws": "none", **config}
    server = _Server(uvicorn.Config(app, port=0, log_level="critical", **config))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert server.started
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
