"""Replace a library's function by one that calls it through us, once, reversibly, and without ever hurting the caller.

Two forms:

- `around(owner, name, before, after)`: our code runs before and after the call and cannot get in between, so a bug
  of ours cannot change what the caller sees. Use it unless the arguments must be replaced.
- `wrap(owner, name, wrapper)`: `wrapper(original, *args, **kwargs)` does the call itself. What it does besides must be
  in functions marked `@guarded`.

A plain Python function is replaced by one; what a coroutine function, a built-in one, a static or class method is
replaced by is a `wrapt.FunctionWrapper`, which stays all of that and costs six times as much. Both keep the signature
and can be pickled. `import wrapt` is slow (it loads asyncio), so this module is imported with the first library that is
patched and never at the start of a process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, getattr_static, iscoroutinefunction, signature
from types import FunctionType
from typing import Any

from wrapt import FunctionWrapper

from fluoro.context import current_node
from fluoro.instrument._guarded import guarded, place, put_back, report
from fluoro.instrument._replaced import patched_count, plainly, replace, undo_all, undo_since
from fluoro.recorder import Span

__all__ = ["around", "guarded", "is_patched", "patched_count", "replace", "undo_all", "undo_since", "wrap", "wrapped"]

_ABSENT = object()
_FLAVOURED = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR
_current = current_node.get


def around(
    owner: Any,
    name: str,
    before: Callable[..., Any],
    after: Callable[[Any, Any, BaseException | None], None],
    *,
    remade: bool = False,
) -> bool:
    """Call `before(*args, **kwargs)`, then the original with the same arguments, then
    `after(state, result, error)`; `state` is what `before` returned. A coroutine function is awaited in between.

    When `before` returns None (nothing to trace, or it failed) `after` is not called. `before` may change arguments in
    place (add a header); bugs in either are logged once and go no further. False if it was patched already.
    """

    def call(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        outside = _current()
        try:
            state = before(*args, **kwargs)
        except BaseException as bug:  # noqa: BLE001  goes on if it is none of ours
            state = None
            _failed(before, bug, None, outside)
        if state is None:
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            try:
                after(state, None, error)
            except BaseException as bug:  # noqa: BLE001
                _failed(after, bug, state, outside)
            raise
        try:
            after(state, result, None)
        except BaseException as bug:  # noqa: BLE001
            _failed(after, bug, state, outside)
        return result

    async def call_async(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        outside = _current()
        try:
            state = before(*args, **kwargs)
        except BaseException as bug:  # noqa: BLE001
            state = None
            _failed(before, bug, None, outside)
        if state is None:
            return await original(*args, **kwargs)
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:
            try:
                after(state, None, error)
            except BaseException as bug:  # noqa: BLE001
                _failed(after, bug, state, outside)
            raise
        try:
            after(state, result, None)
        except BaseException as bug:  # noqa: BLE001
            _failed(after, bug, state, outside)
        return result

    return wrap(owner, name, call_async if iscoroutinefunction(getattr(owner, name)) else call, remade=remade)


def _failed(ours: Callable[..., Any], bug: BaseException, state: Any, outside: Any) -> None:
    """`ours` was left by `bug`: by one of its own, which is reported, or by what a signal handler raised in it, which goes
    on. Either way the call's span ends, without what could not be read, and is not left current.
    """
    put_back(outside)
    span = getattr(state, "span", None)  # of a Span: itself
    if type(span) is Span:
        span.end()
    report(place(ours), bug)


def wrap(owner: Any, name: str, wrapper: Callable[..., Any], *, remade: bool = False) -> bool:
    """Put `wrapper(original, *args, **kwargs)` in the place of `owner.name`; for a method `args[0]` is the instance.

    `owner` is a module or a class, the target a function, method, static or class method. False if it was patched already; AttributeError if there is no such name, so that the
    instrumentation disables itself. `remade`: see `replace`.
    """
    if is_patched(owner, name):
        return False
    own = vars(owner).get(name, _ABSENT)
    found = getattr(owner, name) if own is _ABSENT else own
    original = found.__func__ if isinstance(found, (staticmethod, classmethod)) else found

    if type(found) is FunctionType and not found.__code__.co_flags & _FLAVOURED:
        call = _plain(found, wrapper)
        replace(owner, name, call, lambda: _retire(call), remade=remade)
    else:
        call = _on_call(original, wrapper)
        replace(owner, name, FunctionWrapper(found, call), lambda: _retire(call), remade=remade)
    return True


def wrapped(function: Any, wrapper: Callable[..., Any]) -> Any:
    """`function` as `wrapper(function, *args, **kwargs)`, for one that was handed over and has no name to replace; so it
    cannot be undone. One that is a replacement already, or cannot be called, comes back as it is.
    """
    if _is_ours(function) or not callable(function):
        return function
    return FunctionWrapper(function, _on_handed(wrapper))


def is_patched(owner: Any, name: str) -> bool:
    """Whether `owner.name` is a replacement of ours, its own or inherited."""
    return _is_ours(getattr_static(owner, name, None))


def _plain(original: Any, wrapper: Callable[..., Any]) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        outside = _current()
        try:
            return wrapper(original, *args, **kwargs)
        except BaseException:
            # Also where a signal handler raised between two steps of ours: a call that failed leaves nothing current.
            put_back(outside)
            raise

    update_wrapper(call, original)
    call.__signature__ = signature(original)  # type: ignore[attr-defined]  # `getfullargspec` looks nowhere else
    return call


def _on_call(original: Any, wrapper: Callable[..., Any]) -> Any:
    def call(_bound: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outside = _current()
        try:
            if instance is None:
                return wrapper(original, *args, **kwargs)
            return wrapper(original, instance, *args, **kwargs)
        except BaseException:
            put_back(outside)
            raise

    return call


def _on_handed(wrapper: Callable[..., Any]) -> Any:
    def call(original: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outside = _current()
        try:
            return wrapper(original, *args, **kwargs)
        except BaseException:
            put_back(outside)
            raise

    return call


def _retire(call: Any) -> None:
    """From now on it only calls the original: what somebody else has put around it cannot be taken apart."""
    call.__closure__[call.__code__.co_freevars.index("wrapper")].cell_contents = plainly


# A replacement is known by its code: an attribute would be copied by every decorator that is put around it.
_OURS = frozenset(
    call.__code__ for call in (_plain(is_patched, is_patched), _on_call(None, is_patched), _on_handed(is_patched))
)


def _is_ours(value: Any) -> bool:
    if isinstance(value, FunctionWrapper):
        value = value._self_wrapper  # noqa: SLF001  wrapt's name for the function it was given
    return getattr(value, "__code__", None) in _OURS
