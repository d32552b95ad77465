"""concurrent.futures: what is submitted runs under the submitting span, in threads and in processes.

`loop.run_in_executor` and `executor.map` submit too. A call in another process gets the trace header along; the process
has its own recorder (`fluoro run` covers it) and hangs what it does below the span of the caller.
"""

from __future__ import annotations

from fluoro.context import current_node
from fluoro.instrument import _carry
from fluoro.instrument._replaced import wrap_plain

TYPE_CHECKING = False  # part of what every traced process loads
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any


def patch(module: ModuleType) -> None:
    if module.__name__ == "concurrent.futures.thread":
        wrap_plain(module.ThreadPoolExecutor, "submit", _carry.submit)
    else:
        wrap_plain(module.ProcessPoolExecutor, "submit", _submit_to_process)


class _Carried:
    """A function and the trace it belongs to; both can be pickled."""

    def __init__(self, function: Callable[..., Any], header: str) -> None:
        self.function = function
        self.header = header

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from fluoro import instrument, propagation

        parent = propagation.parse_xray(self.header)
        if parent is None or not instrument.start():
            return self.function(*args, **kwargs)
        from fluoro.recorder import recorder

        return _carry.carried(recorder.remote(parent), self.function)(*args, **kwargs)


def _submit_to_process(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    node = current_node.get()
    if node is None or len(args) < 2:
        return original(*args, **kwargs)
    from fluoro.propagation import write_xray
    from fluoro.recorder import recorder

    span = recorder.current()
    executor, function, *rest = args
    if span is not None:
        segment, trace = span.segment, span.trace
        function = _Carried(function, write_xray(segment.trace_id, segment.id, trace.sampled, trace.extras))
    current_node.set(None)  # a worker that is forked now will do other callers' work as well
    try:
        return original(executor, function, *rest, **kwargs)
    finally:
        current_node.set(node)
