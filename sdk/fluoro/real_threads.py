"""Python's own threads, locks and clocks, also after gevent has replaced them: our threads must not become greenlets of
the application's hub.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def original(module: str, name: str) -> Any:
    """The function `name` of `module` as it is without gevent's monkey patching."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original(module, name)
    return getattr(import_module(module), name)
