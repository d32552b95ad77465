"""What must be done anew in a forked child. Nothing is done before a fork and nothing in the parent.

Most forks run Python's own hooks. uWSGI's does not unless asked to, so `check`, called when a trace begins, notices a
new process id too.
"""

from __future__ import annotations

import os
from collections.abc import Callable

_getpid = os.getpid
_callbacks: list[Callable[[], None]] = []
_pid = _getpid()


def in_child(callback: Callable[[], None]) -> None:
    """Call `callback` in every forked child, before anything is recorded there. It starts no thread and takes no lock
    that a thread of the parent may have held.
    """
    _callbacks.append(callback)


def check() -> None:
    """Run the callbacks if this process is new and its hooks were skipped."""
    if _getpid() != _pid:
        _forked()


def _forked() -> None:
    global _pid  # noqa: PLW0603
    _pid = _getpid()
    for callback in _callbacks:
        callback()


os.register_at_fork(after_in_child=_forked)
