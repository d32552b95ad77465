"""Replace a library's function by one that calls it through us, once, reversibly, and without ever hurting the caller.

Two forms:

- `around(owner, name, before, after)`: our code runs before and after the call and cannot get in between, so a bug
  of ours cannot change what the caller sees. Use it unless the arguments must be replaced.
- `wrap(owner, name, wrapper)`: `wrapper(original, *args, **kwargs)` does the call itself. What it does besides must be
  in functions marked `@guarded`.

The replacement is a `wrapt.FunctionWrapper`: signature, coroutine flavour, descriptors and pickling stay the
original's, and the call goes through C. `import wrapt` is slow (it loads asyncio), so this module is imported with the
first library that is patched and never at the start of a process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from inspect import getattr_static, iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar, cast

from wrapt import FunctionWrapper

from fluoro import diagnostics
from fluoro.instrument._replaced import patched_count, replace, undo_all, undo_since

__all__ = ["around", "guarded", "is_patched", "patched_count", "replace", "undo_all", "undo_since", "wrap"]

if TYPE_CHECKING:

    class _Replacement:
        """What stands in the place of a patched function (wrapt publishes no types)."""

        def __init__(self, wrapped: Any, wrapper: Callable[..., Any]) -> None: ...

else:

    class _Replacement(FunctionWrapper):
        """What stands in the place of a patched function. A class of its own tells our patches from another tool's."""


_F = TypeVar("_F", bound=Callable[..., Any])
_ABSENT = object()


def guarded(function: _F) -> _F:
    """A bug in `function` is logged once and the result is None; under test it raises. For code of ours that runs in a
    user's call. An `async` function is not accepted: code of ours never awaits.
    """
    where = f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  the whole purpose
            diagnostics.internal_error(where, error)
            return None

    return cast("_F", call)


def around(
    owner: Any,
    name: str,
    before: Callable[..., Any],
    after: Callable[[Any, Any, BaseException | None], None],
) -> bool:
    """Call `before(*args, **kwargs)`, then the original with the same arguments, then
    `after(state, result, error)`; `state` is what `before` returned. A coroutine function is awaited in between.

    When `before` returns None (nothing to trace, or it failed) `after` is not called. `before` may change arguments in
    place (add a header); bugs in either are logged once and go no further. False if it was patched already.
    """
    before, after = guarded(before), guarded(after)

    def call(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        state = before(*args, **kwargs)
        if state is None:
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            after(state, None, error)
            raise
        after(state, result, None)
        return result

    async def call_async(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        state = before(*args, **kwargs)
        if state is None:
            return await original(*args, **kwargs)
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:
            after(state, None, error)
            raise
        after(state, result, None)
        return result

    return wrap(owner, name, call_async if iscoroutinefunction(getattr(owner, name)) else call)


def wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> bool:
    """Put `wrapper(original, *args, **kwargs)` in the place of `owner.name`; for a method `args[0]` is the instance.

    `owner` is a module or a class, the target a function, method, static or class method. False if it was patched already; AttributeError if there is no such name, so that the
    instrumentation disables itself.
    """
    if is_patched(owner, name):
        return False
    own = vars(owner).get(name, _ABSENT)
    found = getattr(owner, name) if own is _ABSENT else own
    original = found.__func__ if isinstance(found, (staticmethod, classmethod)) else found

    def call(_bound: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if instance is None:
            return wrapper(original, *args, **kwargs)
        return wrapper(original, instance, *args, **kwargs)

    replace(owner, name, _Replacement(found, call))
    return True


def is_patched(owner: Any, name: str) -> bool:
    """Whether `owner.name` is a replacement of ours, its own or inherited."""
    return isinstance(getattr_static(owner, name, None), _Replacement)
