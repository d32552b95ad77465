"""The way every door goes: unpack and decode off the loop, then `Ingest.accept`; errors become one `Refusal`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from fluoro.errors import WireError
from fluoro_collector.counters import Counters
from fluoro_collector.decode.decoded import Decoded
from fluoro_collector.ingest import Ingest, Overloaded, Receipt
from fluoro_collector.receivers.refusal import Refusal
from fluoro_collector.receivers.unpack import unpack

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Decode = Callable[[bytes], Decoded]

INLINE_BYTES = 16 * 1024  # about 100 segments, 0.1 ms; a thread hop costs the loop as much
DECODE_THREADS = 2  # also the number of large bodies that can be unpacked in memory at one time


class Taker:
    """Shared by the doors of one process. `limit` is the most bytes a request may have once decompressed."""

    def __init__(self, ingest: Ingest, counters: Counters, limit: int) -> None:
        self._ingest = ingest
        self._counters = counters
        self.limit = limit
        self._threads = ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix="fluoro-decode")

    async def take(self, door: str, body: bytes, decode: Decode, encoding: str = "") -> Receipt:
        """What became of the segments in `body`, once they are durable. Raises Refusal, already in the ledger."""
        try:
            packed = encoding not in {"", "identity"}
            # What is packed may be anything once unpacked, so it never is on the loop.
            size_hint = self.limit if packed else len(body)
            decoded, size = await self.offload(size_hint, self._unpack_and_decode, body, decode, encoding)
        except Refusal as refusal:
            raise self.refuse(door, refusal) from None
        except WireError as error:
            raise self.refuse(door, Refusal("Undecodable", str(error))) from None
        except Exception:
            # Our bug. The same bytes would hit it again, so the sender must not retry them.
            log.exception("decoding %d bytes from door %s failed", len(body), door)
            raise self.refuse(door, Refusal("Undecodable", "the collector failed to decode this body")) from None
        try:
            return await self._ingest.accept(door, decoded, size)
        except Overloaded as overloaded:
            raise Refusal(overloaded.reason, str(overloaded), overloaded.retry_after_s) from None

    async def offload(self, size: int, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """`function(*arguments)` in a decode thread, or right here when its input of `size` bytes is small."""
        if size <= INLINE_BYTES:
            return function(*arguments, **named)
        call = partial(function, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def refuse(self, door: str, refusal: Refusal) -> Refusal:
        """`refusal`, counted once for a body that was never decoded."""
        self._counters.door(door).refuse_undecoded(refusal.reason)
        return refusal

    def close(self) -> None:
        self._threads.shutdown()

    def _unpack_and_decode(self, body: bytes, decode: Decode, encoding: str) -> tuple[Decoded, int]:
        data = unpack(body, encoding, self.limit)
        return decode(data), len(data)
