"""Patch now, load what is needed when the patched function is called for the first time.

For modules of Python itself that many programs import and never use. Their patch is light (see `fluoro.instrument`): it
loads neither the recorder nor wrapt; the call that uses the module does.
"""

from __future__ import annotations

import sys
from importlib import import_module

from fluoro import diagnostics, instrument
from fluoro.context import current_node
from fluoro.instrument._replaced import wrap_plain

TYPE_CHECKING = False  # part of what traced processes load first
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def wrap_at_first_use(owner: Any, name: str, module: str, function: str) -> None:
    """As `wrap_plain(owner, name, module.function)`; `module` is imported, and the recorder set up, at the first call.

    Calls of fluoro's own do not count: its sender must import nothing, since the application may fork meanwhile.
    """
    wrapper: Callable[..., Any] | None = None

    def call(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        nonlocal wrapper
        if wrapper is None:
            if _is_fluoros_own():
                return original(*args, **kwargs)
            wrapper = _load(module, function)
        return wrapper(original, *args, **kwargs)

    wrap_plain(owner, name, call)


def _is_fluoros_own() -> bool:
    node = current_node.get()
    recorder = sys.modules.get("fluoro.recorder")  # whoever made a node has loaded it
    if node is None or recorder is None:
        return False
    span = recorder.recorder.current()
    return span is not None and bool(recorder.is_unrecorded(span))


def _load(module: str, function: str) -> Callable[..., Any]:
    try:
        if instrument.start():
            wrapper: Callable[..., Any] = getattr(import_module(module), function)
            return wrapper
    except Exception as error:  # noqa: BLE001  the application's call must succeed
        diagnostics.internal_error(f"instrument.{module}", error)
    return _untraced


def _untraced(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return original(*args, **kwargs)
