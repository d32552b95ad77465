"""A real Redis server from Debian's package, alone or as a cluster of one node; it writes nothing to disk."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.process import accepts, binary, free_port, running

_SLOTS = 16_384


@contextmanager
def redis_server(*, cluster: bool = False) -> Iterator[int]:
    """Its port on 127.0.0.1. There is a socket `/tmp/…/redis.sock` beside it: `CONFIG GET unixsocket` says where."""
    server = binary("redis-server", "redis-server")
    with tempfile.TemporaryDirectory(prefix="fluoro-redis-") as name:
        directory, port = Path(name), free_port()
        options = {"port": port, "bind": "127.0.0.1", "dir": name, "save": "", "unixsocket": directory / "redis.sock"}
        if cluster:
            options |= {"cluster-enabled": "yes", "cluster-port": free_port()}
        command = [server, *(str(part) for name, value in options.items() for part in (f"--{name}", value))]
        with running(command, lambda: accepts(port), log=directory / "server.log"):
            if cluster:
                _ask(port, "CLUSTER", "ADDSLOTSRANGE", "0", str(_SLOTS - 1))
                while b"cluster_state:ok" not in _ask(port, "CLUSTER", "INFO"):
                    pass  # each question is a round trip of its own; the state changes within a few
            yield port


def _ask(port: int, *words: str) -> bytes:
    asked = subprocess.run(
        [binary("redis-cli", "redis-tools"), "-p", str(port), *words], capture_output=True, check=True, timeout=10
    )
    return asked.stdout
