"""sqlite3 of Python ≥ 3.10: one span per `execute`, `executemany` and `executescript`, on cursors and connections.

The span is named after the database's file ("shop.db", ":memory:"). `connect` gets a connection class derived from the
one asked for, so `isinstance` holds, for an application's own factories and cursor classes too.

Not traced: commit and rollback; rows that SQLite computes while they are fetched; connections made by calling the class
itself or by a factory that is no class.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from sqlite3 import Connection, Cursor, sqlite_version
from types import ModuleType
from typing import Any, cast

from fluoro.instrument import _dbapi, _patch, _sql
from fluoro.recorder import Span

_FACTORY = 5  # position of `factory` among connect's arguments


class _TracedCursor(Cursor):
    """Comes right before `sqlite3.Cursor` among the bases of every cursor's class."""

    __slots__ = ()


class _TracedConnection(Connection):
    """Comes right before `sqlite3.Connection` among the bases of every connection's class, and so sees which cursor it
    is asked for, whoever chose it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._fluoro_database = _database(args[0] if args else kwargs.get("database"))
        super().__init__(*args, **kwargs)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        factory = _traced_cursor(*args, **kwargs)
        return super().cursor(*args, **kwargs) if factory is None else super().cursor(factory)


def patch(module: ModuleType) -> None:
    for traced in (_TracedCursor, _TracedConnection):
        _patch.around(traced, "execute", before, after)
        _patch.around(traced, "executemany", before_many, after)
        _patch.around(traced, "executescript", before, after)
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
    traced = _dbapi.derived(cast("Any", factory), _TracedConnection)
    if positional:
        return (*args[:_FACTORY], traced, *args[_FACTORY + 1 :]), kwargs
    return args, {**kwargs, "factory": traced}


@_patch.guarded
def _traced_cursor(factory: Any = Cursor, *more: Any, **unknown: Any) -> type[Cursor] | None:
    traceable = isinstance(factory, type) and issubclass(factory, Cursor) and not more and not unknown
    return cast("type[Cursor]", _dbapi.derived(factory, _TracedCursor)) if traceable else None


def before(owner: Any, *args: Any, **_: Any) -> Span | None:
    connection = owner.connection if isinstance(owner, Cursor) else owner
    # An `__init__` of the application's own may not have called the next one; SQLite will complain.
    database = getattr(connection, "_fluoro_database", None)
    return _sql.query_span(database, args[0] if args else None)


def before_many(owner: Any, *args: Any, **_: Any) -> Span | None:
    span = before(owner, *args)
    if span is not None and len(args) > 1:
        _sql.count_batch(span, args[1])
    return span


def after(span: Span, cursor: Cursor | None, error: BaseException | None) -> None:
    if cursor is not None:
        _sql.count(span, "rows", cursor.rowcount)
    _sql.end(span, cursor, error)


@_patch.guarded
def _database(name: Any) -> _sql.Database | None:
    """`shop.db` for "/data/shop.db" and "file:/data/shop.db?mode=ro"."""
    path = os.fsdecode(name)
    if path.startswith("file:"):
        path = path[5:].partition("?")[0] or ":memory:"
    title = os.path.basename(path.rstrip("/")) or ":temporary:"  # noqa: PTH119  nothing is looked at on disk
    return _sql.Database(title, "sqlite", version=sqlite_version)
