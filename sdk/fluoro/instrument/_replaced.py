"""What has been replaced in other people's modules, and how everything is put back.

It imports nothing that costs, because the light instrumentations (threads, logging) use it in every traced process;
`_patch`, which needs wrapt, is for the libraries.
"""

from __future__ import annotations

from _thread import get_ident
from functools import update_wrapper

TYPE_CHECKING = False  # see above
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ABSENT = object()

# What `undo_all` restores: owner, name, what stood in the owner's own namespace (_ABSENT: it was inherited), the thread.
_undo: list[tuple[Any, str, Any, int]] = []


def replace(owner: Any, name: str, value: Any) -> None:
    """Put `value` in the place of `owner.name` until `undo_all`; for what is not a plain call."""
    _undo.append((owner, name, vars(owner).get(name, _ABSENT), get_ident()))
    setattr(owner, name, value)


def wrap_plain(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Put `wrapper(original, *args, **kwargs)` in the place of the plain Python function `owner.name`, without wrapt.

    For functions of the standard library whose kind is known: no coroutine, no static or class method.
    """
    original = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    replace(owner, name, update_wrapper(call, original))


def undo_all() -> None:
    """Restore everything that was patched, newest first."""
    while _undo:
        _restore(_undo.pop())


def undo_since(count: int) -> None:
    """Restore what this thread patched after there were `count` patches: one instrumentation that failed half-way."""
    for entry in reversed(_undo[count:]):
        if entry[3] == get_ident():
            _undo.remove(entry)
            _restore(entry)


def patched_count() -> int:
    """How many places are patched now."""
    return len(_undo)


def _restore(entry: tuple[Any, str, Any, int]) -> None:
    owner, name, own, _ = entry
    if own is _ABSENT:
        delattr(owner, name)
    else:
        setattr(owner, name, own)
