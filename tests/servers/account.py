"""Servers that refuse to run as root: under which account to start them, and whose their directories must be."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def unprivileged(account: str) -> list[str]:
    """What to put before a command so that it runs as `account`; nothing unless we are root."""
    return ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups"] if os.geteuid() == 0 else []


@contextmanager
def directory_of(account: str) -> Iterator[Path]:
    """A new directory that `account` can reach: pytest's own are for the user who runs the tests only."""
    path = Path(tempfile.mkdtemp(prefix="fluoro-test-"))
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam(account)
            os.chown(path, user.pw_uid, user.pw_gid)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
