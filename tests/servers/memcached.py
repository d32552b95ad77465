"""A real memcached from Debian's package."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.process import accepts, binary, free_port, running


@contextmanager
def memcached() -> Iterator[int]:
    """Its port on 127.0.0.1."""
    server, port = binary("memcached", "memcached"), free_port()
    as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="fluoro-memcached-") as directory:
        command = [server, "-l", "127.0.0.1", "-p", str(port), *as_user]
        with running(command, lambda: accepts(port), log=Path(directory) / "server.log"):
            yield port
