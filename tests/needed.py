"""What a test needs and this machine may lack: said when it is skipped, a failure where no skip is allowed."""

from __future__ import annotations

import importlib.util
import os

import pytest


def module(name: str, how: str) -> None:
    """Skip the calling test, or test file, when `name` cannot be imported; FLUORO_TEST_NO_SKIP=1 makes it a failure."""
    if importlib.util.find_spec(name) is not None:
        return
    reason = f"{name} is not installed ({how})"
    if os.environ.get("FLUORO_TEST_NO_SKIP") == "1":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def mysqlclient() -> None:
    module("MySQLdb", "pip install mysqlclient; Debian: apt-get install gcc pkg-config libmariadb-dev")
