"""gevent ≥ 22: a greenlet belongs to the span in which it was created; so do calls in gevent's thread pool.

gevent gives each greenlet an empty context. `Greenlet` is compiled and cannot be patched, so every place where gevent
keeps it gets a subclass; `isinstance` and `issubclass` with gevent's own class hold. Only our span is passed on, not the
application's context variables, which gevent's users do not expect to be.

Gap: `spawn_raw`, which makes bare greenlets, and `from gevent import Greenlet` before fluoro was installed.
"""

from __future__ import annotations

import sys
from contextvars import Context
from types import ModuleType
from typing import Any

from fluoro.context import current_node
from fluoro.instrument import _carry
from fluoro.instrument._replaced import replace, wrap_plain


def patch(module: ModuleType) -> None:
    """`module` is gevent itself, whole; its submodules that are loaded get the subclass too."""
    from gevent import greenlet, pool, threadpool

    original = greenlet.Greenlet
    traced = _subclass(original)
    for name, loaded in list(sys.modules.items()):
        # Compiled modules look for their own type, whose C methods they call.
        if name.startswith("gevent") and "._gevent_c" not in name and getattr(loaded, "Greenlet", None) is original:
            replace(loaded, "Greenlet", traced)
    replace(pool.Group, "greenlet_class", traced)
    for name in ("spawn", "spawn_later"):
        replace(module, name, getattr(traced, name))
    wrap_plain(threadpool.ThreadPool, "spawn", _carry.submit)


def _subclass(original: Any) -> Any:
    class Greenlet(original):  # type: ignore[misc]  # gevent's class is known at run time only
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            original.__init__(self, *args, **kwargs)
            node = current_node.get()
            if node is not None:
                context = Context()
                context.run(current_node.set, node)
                self.gr_context = context

    Greenlet.__module__ = original.__module__
    Greenlet.__qualname__ = original.__qualname__
    return Greenlet
