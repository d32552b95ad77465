"""One process of the demo: its command, its log, and how to tell that it is ready."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fluoro_shop.launcher.ports import HOST

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy


class Child:
    """A process in a group of its own, so that a ctrl-C in the terminal reaches only the launcher."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path, ready: Callable[[Child], bool]
    ) -> None:
        self.name = name
        self.log = log
        self._ready = ready
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def group(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    @property
    def ready(self) -> bool:
        return self._ready(self)

    def signal(self, number: int) -> None:
        """To the process and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group, number)

    def kill(self) -> None:
        """End the process, if it has not ended, and whatever it may have left behind."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def last_lines(self, count: int = 15) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()[-count:]


def listens(port: int) -> Callable[[Child], bool]:
    """Ready when the port takes a connection. (Asking a page of a traced service would show up on the map.)"""

    def ready(_child: Child) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((HOST, port)) == 0

    return ready


def answers(url: str) -> Callable[[Child], bool]:
    """Ready when the page is there (200)."""

    def ready(_child: Child) -> bool:
        try:
            with _direct.open(url, timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return ready


def says(text: str) -> Callable[[Child], bool]:
    """Ready when the log has `text`."""
    return lambda child: text in child.log.read_text(errors="replace")
