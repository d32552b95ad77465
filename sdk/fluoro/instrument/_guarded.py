"""Keep a bug of ours out of a user's call. Light, for patches that every process needs as well as for the others."""

from __future__ import annotations

from functools import wraps

from fluoro import diagnostics
from fluoro.context import current_node

TYPE_CHECKING = False  # part of what traced processes load first
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _F = TypeVar("_F", bound=Callable[..., Any])

_current = current_node.get
_set_current = current_node.set


def guarded(function: _F) -> _F:
    """A bug in `function` is logged once and the result is None; under test it raises. For code of ours that runs in a
    user's call. An `async` function is not accepted: code of ours never awaits.

    When it is left by an exception, whatever it began is not left current: also by one that a signal handler raises in
    the middle of it (a time limit), which goes on.
    """
    where = place(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        outside = _current()
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  the whole purpose
            put_back(outside)
            report(where, error)
            return None

    return call  # type: ignore[return-value]  # `wraps` keeps the signature


def put_back(outside: Any) -> None:
    """Make `outside` current again after a call that failed, unless the call has ended it: then what it left is right."""
    if not getattr(outside, "ended", False):
        _set_current(outside)


def report(where: str, error: BaseException) -> None:
    """`diagnostics.internal_error`, which can fail itself near the limit of the stack or of memory. Under test it raises.

    What is no bug of ours goes on: what is no Exception, and what a signal handler of the application raised (a time limit
    that would never come if it were lost here).
    """
    if not isinstance(error, Exception) or _from_signal_handler(error):
        raise error
    try:
        diagnostics.internal_error(where, error)
    except Exception:
        if diagnostics.strict:
            raise


def place(function: Callable[..., Any]) -> str:
    """What a report calls it."""
    return f"{function.__module__}.{function.__qualname__}"


def _from_signal_handler(error: BaseException) -> bool:
    """Whether a signal handler is among the functions that `error` came through."""
    try:
        import signal
    except ImportError:  # the interpreter is shutting down
        return False
    handlers = {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def _code(handler: object) -> object:
    return getattr(getattr(handler, "__func__", handler), "__code__", None)
