"""The cursors of PEP 249 drivers: `execute`, `executemany` and `callproc`.

Cursors written in Python are patched where their class defines the methods, so types, subclasses and factories stay
what they are. Cursors of a C library cannot be patched; a class derived from the one asked for is used in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, cast

from fluoro.instrument import _patch, _sql
from fluoro.recorder import Span

Describe = Callable[[Any], _sql.Database]


class Call:
    """A running call of one cursor's method."""

    __slots__ = ("cursor", "span")

    def __init__(self, span: Span, cursor: Any) -> None:
        self.span = span
        self.cursor = cursor


def patch_cursors(classes: Iterable[Any], connection_of: Callable[[Any], Any], describe: Describe) -> None:
    """Patch the methods that each of `classes` defines itself. `connection_of(cursor)` may raise for a closed one."""
    befores = {
        "execute": _before_execute(connection_of, describe),
        "executemany": _before_executemany(connection_of, describe),
        "callproc": _before_callproc(connection_of, describe),
    }
    for cls in classes:
        for name, before in befores.items():
            if name in vars(cls):
                _patch.around(cls, name, before, after)


def trace(owner: Any, connection_of: Callable[[Any], Any], describe: Describe) -> None:
    """Patch all three methods on `owner`, a subclass of ours of a C cursor (see `derived`)."""
    _patch.around(owner, "execute", _before_execute(connection_of, describe), after)
    _patch.around(owner, "executemany", _before_executemany(connection_of, describe), after)
    _patch.around(owner, "callproc", _before_callproc(connection_of, describe), after)


def _before_execute(connection_of: Callable[[Any], Any], describe: Describe) -> Callable[..., Call | None]:
    def before(cursor: Any, *args: Any, **kwargs: Any) -> Call | None:
        span = _sql.query_span(_database(cursor, connection_of, describe), query_of(args, kwargs), cursor)
        return None if span is None else Call(span, cursor)

    return before


def _before_executemany(connection_of: Callable[[Any], Any], describe: Describe) -> Callable[..., Call | None]:
    def before(cursor: Any, *args: Any, **kwargs: Any) -> Call | None:
        span = _sql.query_span(_database(cursor, connection_of, describe), query_of(args, kwargs), cursor)
        if span is None:
            return None
        sets = args[1] if len(args) > 1 else next((kwargs[name] for name in _SETS if name in kwargs), None)
        _sql.count_batch(span, sets)
        return Call(span, cursor)

    return before


def _before_callproc(connection_of: Callable[[Any], Any], describe: Describe) -> Callable[..., Call | None]:
    def before(cursor: Any, *args: Any, **kwargs: Any) -> Call | None:
        procedure = args[0] if args else kwargs.get("procname")
        if not isinstance(procedure, str):
            return None
        database = _database(cursor, connection_of, describe)
        span = _sql.query_span(database, f"CALL {procedure}", cursor, preparation="call")
        return None if span is None else Call(span, cursor)

    return before


def after(call: Call, result: object, error: BaseException | None) -> None:
    if error is None and call.span.recording:
        _sql.count(call.span, "rows", call.cursor.rowcount)
    _sql.end(call.span, result, error)


_QUERIES = ("query", "operation", "sql")
_SETS = ("params_seq", "seq_params", "param_sets", "vars_list", "args")


def query_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The statement among a method's arguments; drivers name it differently."""
    return args[0] if args else next((kwargs[name] for name in _QUERIES if name in kwargs), None)


def _database(cursor: Any, connection_of: Callable[[Any], Any], describe: Describe) -> _sql.Database | None:
    try:
        connection = connection_of(cursor)
    except Exception:  # noqa: BLE001  a closed cursor; the driver will say so
        return None
    return None if connection is None else _sql.known(connection, describe)


@lru_cache(maxsize=64)
def derived(base: Any, traced: Any) -> Any:
    """A subclass of `base` that goes by its name. `traced`, a subclass of ours of the C class that `base` derives from,
    comes right before that C class: it sees what an application's `base` asks the C class for.
    """
    if issubclass(base, traced):
        return base
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    bases = (traced,) if base in traced.__bases__ else (base, traced)
    return type(base.__name__, cast("Any", bases), names)
