"""Free ports on 127.0.0.1: the usual one when it can be had, otherwise another."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

HOST = "127.0.0.1"
STEP, TRIES = 100, 20  # 8501, 8601, 8701, … then whatever the system offers


class Ports:
    """Gives every process its port. Two demos that start together never get the same one: for each port they lock
    one byte of a common file, and the system unlocks it when the process that did so ends."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        path = Path(tempfile.gettempdir(), f"fluoro-demo-{os.getuid()}.lock")
        self._lock_file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._claimed: set[int] = set()

    def claim(self, use: str, preferred: int) -> int:
        """A port that nobody listens on, by TCP or UDP. Says so when it is not `preferred`."""
        for port in _candidates(preferred):
            if self._lock(port) and _is_free(port):
                if port != preferred:
                    self._say(f"port {preferred} is taken: {use} goes to {port}")
                return port
        raise OSError(f"no free port for {use}")

    def _lock(self, port: int) -> bool:
        if port in self._claimed:  # the system would grant our own lock again
            return False
        try:
            fcntl.lockf(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        self._claimed.add(port)
        return True

    def release(self) -> None:
        os.close(self._lock_file)


def _candidates(preferred: int) -> Iterator[int]:
    last = min(preferred + STEP * TRIES, 65_535)
    yield from range(preferred, last + 1, STEP)
    for _ in range(TRIES):
        with socket.socket() as any_port:
            any_port.bind((HOST, 0))
            yield any_port.getsockname()[1]


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:  # as servers do: a closed connection's leftovers are no obstacle
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True
