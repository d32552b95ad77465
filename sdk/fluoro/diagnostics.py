"""What fluoro says about itself: few lines, on stderr, never through the application's log handlers.

Bugs of ours stop at `internal_error`. `strict` makes it raise instead; only `fluoro.testing` sets it.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from time import monotonic

TYPE_CHECKING = False  # typing itself is not imported: this module is part of the start-up of every traced process
if TYPE_CHECKING:
    import logging

_QUIET_S = 60.0  # the same kind of warning is written once in this time

strict = False
_last: dict[str, float] = {}
_errors: list[str] = []
_MAX_ERRORS = 100
_named: logging.Logger | None = None


def warn(kind: str, message: str, *, every_s: float = _QUIET_S) -> bool:
    """Write one line `WARNING fluoro: message`, unless this `kind` spoke less than `every_s` ago. Never raises, never blocks on
    a handler: the application's logging may itself be what is being traced. True if written.
    """
    now = monotonic()
    last = _last.get(kind)
    if last is not None and now - last < every_s:
        return False
    _last[kind] = now
    _logger().warning(message)
    return True


def internal_error(where: str, error: BaseException) -> None:
    """A bug of fluoro was caught at `where`: say so once per place and type, remember it for statistics.

    Under test (`strict`) it is raised instead.
    """
    if strict:
        raise error
    kind = f"{where}:{type(error).__name__}"
    if len(_errors) < _MAX_ERRORS and kind not in _errors:
        _errors.append(kind)
        warn(
            kind, f"internal error in {where}, the application is not affected: {describe(error)}", every_s=float("inf")
        )


def internal_errors() -> list[str]:
    """`place:ErrorType` of every bug caught so far in this process (at most 100)."""
    return list(_errors)


def describe(error: BaseException) -> str:
    """`Type: message` of any exception, also of one whose `__str__` raises."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001
        message = "(its message cannot be read)"
    return f"{type(error).__name__}: {message[:500]}"


def prepare() -> None:
    """Import now what a warning needs. An import that runs in the sender's thread while the application forks would stay
    half done in the child for ever.
    """
    _logger()


def _logger() -> logging.Logger:
    """The logger `fluoro`: a handler of its own and no propagation, so no handler of the application is entered.

    `logging` is imported only now: most processes never warn, and it costs more than the rest of our start-up.
    """
    global _named  # noqa: PLW0603
    if _named is None:
        import logging

        class ToStderr(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                with suppress(Exception):  # no stderr, or a closed one
                    sys.stderr.write(f"{record.levelname} fluoro: {record.getMessage()}\n")

        _named = logging.getLogger("fluoro")
        _named.addHandler(ToStderr())
        _named.propagate = False
    return _named
