"""Run a function elsewhere (another thread, a pool's worker) under the span that is current here."""

from __future__ import annotations

from fluoro.context import current_node

TYPE_CHECKING = False  # part of what every traced process loads
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_current = current_node.get
_set_current = current_node.set


def carried(node: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with `node` current while it runs. What was current in the thread before is again afterwards."""

    def call(*args: Any, **kwargs: Any) -> Any:
        before = _current()
        _set_current(node)
        try:
            return function(*args, **kwargs)
        finally:
            _set_current(before)

    return call


def submit(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`executor.submit(function, …)`: the work runs under the caller's span, whichever thread of the pool takes it.

    A thread that the pool starts meanwhile must not inherit that span: it will do other callers' work as well.
    """
    node = _current()
    if node is None or len(args) < 2:
        return original(*args, **kwargs)
    executor, function, *rest = args
    _set_current(None)
    try:
        return original(executor, carried(node, function), *rest, **kwargs)
    finally:
        _set_current(node)
