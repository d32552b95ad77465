"""sqlite3 of Python ≥ 3.10: one span per `execute`, `executemany` and `executescript`, on cursors and connections.

The span is named after the database's file ("shop.db", ":memory:"). `connect` gets a connection class derived from the
one asked for, so `isinstance` holds, for an application's own factories and cursor classes too.

Not traced: commit and rollback; rows that SQLite computes while they are fetched; connections made by calling the class
itself or by a factory that is no class; cursors that an overridden `Connection.cursor` chooses by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from sqlite3 import Connection, Cursor, sqlite_version
from types import ModuleType
from typing import Any, cast

from fluoro.instrument import _patch, _sql
from fluoro.recorder import Span

_FACTORY = 5  # position of `factory` among connect's arguments


def patch(module: ModuleType) -> None:
    _connection_class.cache_clear()
    _cursor_class.cache_clear()
    for owner in (module, module.dbapi2):
        _patch.wrap(owner, "connect", _connect)


def _connect(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    args, kwargs = _with_traced_factory(args, kwargs) or (args, kwargs)
    return original(*args, **kwargs)


@_patch.guarded
def _with_traced_factory(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    positional = len(args) > _FACTORY
    factory = args[_FACTORY] if positional else kwargs.get("factory", Connection)
    if not (isinstance(factory, type) and issubclass(factory, Connection)):
        return None
    traced = _connection_class(cast("Any", factory))
    if positional:
        return (*args[:_FACTORY], traced, *args[_FACTORY + 1 :]), kwargs
    return args, {**kwargs, "factory": traced}


@lru_cache(maxsize=64)
def _connection_class(base: Any) -> type[Connection]:
    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        self._fluoro_database = _name(args[0] if args else kwargs.get("database"))
        base.__init__(self, *args, **kwargs)

    def cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
        factory = _traced_cursor(base, *args, **kwargs)
        return base.cursor(self, *args, **kwargs) if factory is None else base.cursor(self, factory)

    def before(self: Any, *args: Any, **_: Any) -> Span | None:
        return _query_span(self, args)

    return _traced(_derived(base, __init__=initialise, cursor=cursor), before)  # type: ignore[no-any-return]


@_patch.guarded
def _traced_cursor(base: type[Connection], factory: Any = None, *more: Any, **unknown: Any) -> type[Cursor] | None:
    if factory is None and base.cursor is Connection.cursor:
        factory = Cursor
    traceable = isinstance(factory, type) and issubclass(factory, Cursor) and not more and not unknown
    return _cursor_class(cast("Any", factory)) if traceable else None


@lru_cache(maxsize=64)
def _cursor_class(base: Any) -> type[Cursor]:
    def before(self: Any, *args: Any, **_: Any) -> Span | None:
        return _query_span(self.connection, args)

    return _traced(_derived(base), before)  # type: ignore[no-any-return]


def _query_span(connection: Any, args: tuple[Any, ...]) -> Span | None:
    return _sql.query_span(connection._fluoro_database, "sqlite", args[0] if args else None, sqlite_version)  # noqa: SLF001


def _traced(derived: Any, before: Callable[..., Span | None]) -> Any:
    for method in ("execute", "executemany", "executescript"):
        _patch.around(derived, method, before, _sql.end)
    return derived


def _derived(base: Any, **members: Any) -> Any:
    """A subclass that goes by the name of its base."""
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base.__name__, (base,), {**names, **members})


@_patch.guarded
def _name(database: Any) -> str:
    """`shop.db` for "/data/shop.db" and "file:/data/shop.db?mode=ro"."""
    path = os.fsdecode(database)
    if path.startswith("file:"):
        path = path[5:].partition("?")[0] or ":memory:"
    return os.path.basename(path.rstrip("/")) or ":temporary:"  # noqa: PTH119  nothing is looked at on disk
