"""The X-Ray daemon's UDP door: a header line, a newline, one segment document per datagram; no replies.

The socket is read directly, many datagrams at a wake-up: asyncio's datagram transport reads one per turn of the loop.
While one batch commits, the next one gathers; when that is full, datagrams are dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque

import msgspec

from fluoro.errors import WireError
from fluoro_collector.counters import Counters
from fluoro_collector.decode import xray
from fluoro_collector.ingest import Ingest, Overloaded
from fluoro_collector.receivers.take import Taker

log = logging.getLogger(__name__)

DOOR = "xray-udp"
SOCKET_BUFFER = 8 << 20  # asked for; Linux grants net.core.rmem_max
MAX_DATAGRAM = 65_536
READS_PER_WAKE = 256  # then the loop serves the other doors
MAX_LAST_READS = 256  # at closing; more than the socket's buffer holds
BATCH_DOCUMENTS = 1_000
BATCH_BYTES = 4 << 20  # decoded at one time, in a thread
WAITING_BYTES = 16 << 20  # documents between the socket and their commit


class _Header(msgspec.Struct):
    format: str
    version: int


_header = msgspec.json.Decoder(_Header).decode


class UdpDoor:
    """Reads `bound`, a UDP socket, from `start` to `close`. Belongs to the running loop."""

    def __init__(self, bound: socket.socket, taker: Taker, ingest: Ingest, counters: Counters) -> None:
        self._socket = bound
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
        self._taker = taker
        self._ingest = ingest
        self._ledger = counters.door(DOOR)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._read)
        self._worker = loop.create_task(self._work(), name="fluoro-udp")

    async def close(self) -> None:
        """Take what the socket still holds, commit it, then close the socket."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        for _ in range(MAX_LAST_READS):
            if self._read() < READS_PER_WAKE:
                break
            await asyncio.sleep(0)
        self._socket.close()
        self._closing = True
        self._wake.set()
        if self._worker is not None:
            await self._worker

    def _read(self) -> int:
        """Take up to READS_PER_WAKE datagrams from the socket; how many there were."""
        for count in range(READS_PER_WAKE):
            try:
                datagram = self._socket.recv(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return count
            except OSError as error:  # ICMP errors of earlier sends; a UDP socket stays usable
                log.debug("UDP receive: %s", error)
                continue
            self._take(datagram)
        return READS_PER_WAKE

    def _take(self, datagram: bytes) -> None:
        line, _, document = datagram.partition(b"\n")
        if not _is_header(line):
            self._ledger.refuse_undecoded("InvalidHeader")
        elif not document.strip():
            self._ledger.refuse_undecoded("EmptyBody")
        elif self._waiting_bytes + len(document) > WAITING_BYTES:
            self._ledger.refuse_undecoded("BufferFull")
        else:
            self._waiting.append(document)
            self._waiting_bytes += len(document)
            self._wake.set()

    async def _work(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            documents, size = self._take_batch()
            try:
                await self._commit(documents, size)
            finally:
                self._waiting_bytes -= size

    def _take_batch(self) -> tuple[list[bytes], int]:
        documents: list[bytes] = []
        size = 0
        while self._waiting and len(documents) < BATCH_DOCUMENTS and size < BATCH_BYTES:
            document = self._waiting.popleft()
            documents.append(document)
            size += len(document)
        return documents, size

    async def _commit(self, documents: list[bytes], size: int) -> None:
        try:
            decoded = await self._taker.offload(size, xray.decode, documents)
        except WireError:
            self._refuse_all(documents, "Undecodable")
            return
        except Exception:  # our bug; the door stays open
            log.exception("decoding %d X-Ray documents failed", len(documents))
            self._refuse_all(documents, "Undecodable")
            return
        try:
            await self._ingest.accept(DOOR, decoded, size)
        except Overloaded:
            pass  # dropped, and counted by ingest with the reason
        except Exception:
            log.exception("accepting %d X-Ray documents failed", len(documents))

    def _refuse_all(self, documents: list[bytes], reason: str) -> None:
        for _ in documents:
            self._ledger.refuse_undecoded(reason)


def _is_header(line: bytes) -> bool:
    try:
        header = _header(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return header.format.lower() == "json" and header.version == 1
