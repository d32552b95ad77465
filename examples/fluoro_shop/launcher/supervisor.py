"""Starts children, waits for them, notices when one dies, and leaves none behind."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from fluoro_shop.launcher import guardian
from fluoro_shop.launcher.child import Child

PATIENCE = 10.0  # seconds that a child gets to end by itself
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedByUserError(Exception):
    """Ctrl-C, SIGTERM or a closed terminal."""


class ChildError(Exception):
    """A child died or did not become ready; `child` has the log."""

    def __init__(self, child: Child, what: str) -> None:
        super().__init__(f"{child.name} {what}")
        self.child = child


class Supervisor:
    """Use as a context manager: at its end all children have ended, the newest first, whatever happened inside.

    `directory` is removed at the end, also when this process is killed, unless `keep()` was called.
    """

    def __init__(self, logs: Path, directory: Path | None, say: Callable[[str], None]) -> None:
        self._logs = logs
        self._say = say
        self._children: list[Child] = []
        self._interrupts = 0
        self._handlers: dict[signal.Signals, Any] = {}  # those that were there before ours
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, str(directory or "")],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def __enter__(self) -> Supervisor:  # noqa: PYI034 - Self is newer than Python 3.10
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                self._handlers[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        for child in reversed(self._children):
            self._stop(child)
            self._tell(f"end {child.group}")
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()
        self._guardian.wait()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], ready: Callable[[Child], bool]) -> Child:
        child = Child(name, command, env, self._logs / f"{name}.log", ready)
        self._children.append(child)
        self._tell(f"start {child.group}")
        return child

    def wait_until_ready(self, children: Sequence[Child], seconds: float) -> None:
        """Raises ChildError when one of them dies or is not ready in time."""
        begin = time.monotonic()
        waiting = list(children)
        while waiting:
            for child in [child for child in waiting if child.ready]:
                self._say(f"{child.name:<12} ready after {time.monotonic() - begin:.1f} s")
                waiting.remove(child)
            if waiting and time.monotonic() - begin > seconds:
                raise ChildError(waiting[0], f"was not ready after {seconds:.0f} s")
            self.pause(0.1)

    def watch(self) -> None:
        """Returns only by raising: InterruptedByUserError, or ChildError when a child dies."""
        while True:
            self.pause(0.5)

    def pause(self, seconds: float) -> None:
        """Sleep. Signals and deaths surface here and nowhere else, so that a start is never cut in half."""
        end = time.monotonic() + seconds
        while True:
            if self._interrupts:
                raise InterruptedByUserError
            for child in self._children:
                if child.ended is not None:
                    raise ChildError(child, f"ended with status {child.ended}")
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.1))

    def keep(self) -> None:
        """Leave the directory, for somebody who wants to read the logs."""
        self._tell("keep logs")

    @property
    def _pipe(self) -> IO[str]:
        if self._guardian.stdin is None:
            raise RuntimeError("the guardian was started without a pipe")
        return self._guardian.stdin

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # the guardian was killed: nobody to tell
            self._pipe.write(line + "\n")
            self._pipe.flush()

    def _stop(self, child: Child) -> None:
        """Ask it to end, and kill it when it does not or when the user has lost patience."""
        child.signal(signal.SIGTERM)
        end = time.monotonic() + PATIENCE
        while child.ended is None and time.monotonic() < end and self._interrupts < 2:
            time.sleep(0.02)
        if child.ended is None:
            self._say(f"{child.name} did not stop by itself and was killed")
        child.kill()

    def _interrupt(self, _number: int, _frame: object) -> None:
        self._interrupts += 1
