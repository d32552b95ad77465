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


class _Entry:
    """One replacement: `own` stood in the owner's own namespace before (_ABSENT: it was inherited), `value` since.
    `retire` makes `value` do nothing but the original's work.
    """

    __slots__ = ("name", "own", "owner", "remade", "retire", "thread", "value")

    def __init__(self, owner: Any, name: str, value: Any, retire: Callable[[], None] | None, remade: bool) -> None:
        self.owner = owner
        self.name = name
        self.own = vars(owner).get(name, _ABSENT)
        self.value = value
        self.retire = retire
        self.remade = remade
        self.thread = get_ident()


_undo: list[_Entry] = []


def replace(
    owner: Any, name: str, value: Any, retire: Callable[[], None] | None = None, *, remade: bool = False
) -> None:
    """Put `value` in the place of `owner.name` until `undo_all`. When that finds something else in its place (the
    application, a test or another tool has replaced it as well) that stays, and so does ours inside it, if it is inside:
    therefore `retire`. With `remade`, the library itself makes the function anew out of what it was, and what stands there
    then is put back too.
    """
    _undo.append(_Entry(owner, name, value, retire, remade))
    setattr(owner, name, value)


def plainly(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The wrapper of a replacement that has retired."""
    return original(*args, **kwargs)


def wrap_plain(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Put `wrapper(original, *args, **kwargs)` in the place of the plain Python function `owner.name`, without wrapt.

    For functions of the standard library whose kind is known: no coroutine, no static or class method.
    """
    original = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    def retire() -> None:
        nonlocal wrapper
        wrapper = plainly

    replace(owner, name, update_wrapper(call, original), retire)


def undo_all() -> None:
    """Restore everything that was patched, newest first."""
    while _undo:
        _restore(_undo.pop())


def undo_since(count: int) -> None:
    """Restore what this thread patched after there were `count` patches: one instrumentation that failed half-way."""
    for entry in reversed(_undo[count:]):
        if entry.thread == get_ident():
            _undo.remove(entry)
            _restore(entry)


def patched_count() -> int:
    """How many places are patched now."""
    return len(_undo)


def _restore(entry: _Entry) -> None:
    if entry.retire is not None:
        entry.retire()
    if not entry.remade and vars(entry.owner).get(entry.name, _ABSENT) is not entry.value:
        return
    if entry.own is _ABSENT:
        delattr(entry.owner, entry.name)
    else:
        setattr(entry.owner, entry.name, entry.own)
