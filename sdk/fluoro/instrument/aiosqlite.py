"""aiosqlite ≥ 0.17: statements run in the connection's own thread; they get the caller's span there.

The spans themselves are sqlite3's.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fluoro.context import current_node
from fluoro.instrument import _patch
from fluoro.instrument._carry import carried


def patch(module: ModuleType) -> None:
    _patch.wrap(module.Connection, "_execute", _execute)


def _execute(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if len(args) > 1:
        connection, function, *rest = args
        return original(connection, carried(current_node.get(), function), *rest, **kwargs)
    return original(*args, **kwargs)
