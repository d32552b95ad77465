"""Keep a bug of ours out of a user's call. Light, for patches that every process needs as well as for the others."""

from __future__ import annotations

from functools import wraps

from fluoro import diagnostics

TYPE_CHECKING = False  # part of what traced processes load first
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _F = TypeVar("_F", bound=Callable[..., Any])


def guarded(function: _F) -> _F:
    """A bug in `function` is logged once and the result is None; under test it raises. For code of ours that runs in a
    user's call. An `async` function is not accepted: code of ours never awaits.
    """
    where = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  the whole purpose
            diagnostics.internal_error(where, error)
            return None

    return call  # type: ignore[return-value]  # `wraps` keeps the signature
