"""threading: what a thread does belongs to the span in which it was started.

`Thread.start` gives the thread's own `run` the span; so subclasses that override `run`, and `Timer`, are covered. The
recorder stops counting that span as a parent one minute after its end, so a poller that happened to be started by a
request does not grow that request's trace for ever.
"""

from __future__ import annotations

from fluoro.context import current_node
from fluoro.instrument._replaced import wrap_plain

TYPE_CHECKING = False  # part of what every traced process loads
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread
    from types import ModuleType
    from typing import Any


def patch(module: ModuleType) -> None:
    wrap_plain(module.Thread, "start", _start)


def _start(original: Callable[..., Any], thread: Thread, *args: Any, **kwargs: Any) -> Any:
    node = current_node.get()
    if node is None or thread.ident is not None:  # a second start is an error of the application's
        return original(thread, *args, **kwargs)
    run = thread.run

    def run_under_node() -> None:
        del thread.run  # no cycle, and whoever calls `run` later gets the thread's own
        current_node.set(node)
        run()

    thread.run = run_under_node  # type: ignore[method-assign]  # on this one thread only
    try:
        return original(thread, *args, **kwargs)
    except BaseException:  # no thread could be started
        vars(thread).pop("run", None)
        raise
