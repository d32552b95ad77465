"""psycopg2 and psycopg2-binary ≥ 2.9: one span per `execute`, `executemany`, `callproc` and COPY.

`psycopg2.connect` gets a connection class derived from the one asked for, and its cursors' classes are derived in the
same way, so the C library's type checks hold: `register_type`, `quote_ident`, `register_default_json`, DictCursor,
LoggingConnection and an application's own factories. `execute_values` and `execute_batch` are a span for each page.

Gaps: replication connections, factories that are no class, and connections and cursors made by calling their class are
not traced. Of an asynchronous connection (`async_=True`) a span is the sending only.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from psycopg2 import __version__
from psycopg2._psycopg import ReplicationConnection
from psycopg2.extensions import connection, cursor

from fluoro.instrument import _dbapi, _patch, _sql

_DRIVER = f"psycopg2 {__version__.partition(' ')[0]}"


class _TracedCursor(cursor):  # type: ignore[misc]  # psycopg2 publishes no types
    """Comes right before psycopg2's cursor among the bases of every cursor's class."""

    __slots__ = ()


class _TracedConnection(connection):  # type: ignore[misc]  # as above
    """Comes right before psycopg2's connection among the bases of every connection's class, and so sees which cursor
    it is asked for, whoever chose it: the application, `cursor_factory`, or DictConnection.
    """

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = _with_traced_cursor(self, args, kwargs) or (args, kwargs)
        return super().cursor(*args, **kwargs)


def patch(module: ModuleType) -> None:
    _dbapi.trace(_TracedCursor, _connection_of, _describe)
    _patch.around(_TracedCursor, "copy_expert", _before_copy, _dbapi.after)
    _patch.around(_TracedCursor, "copy_from", _before_copy_from, _dbapi.after)
    _patch.around(_TracedCursor, "copy_to", _before_copy_to, _dbapi.after)
    _patch.wrap(module, "connect", _connect)


def _connect(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    args, kwargs = _with_traced_connection(*args, **kwargs) or (args, kwargs)
    return original(*args, **kwargs)


@_patch.guarded
def _with_traced_connection(
    dsn: Any = None, connection_factory: Any = None, *args: Any, **kwargs: Any
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    base = connection if connection_factory is None else connection_factory
    if not _derives(base, connection) or issubclass(base, ReplicationConnection):
        return None
    return (dsn, _dbapi.derived(base, _TracedConnection), *args), kwargs


@_patch.guarded
def _with_traced_cursor(
    owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    asked = args[1] if len(args) > 1 else kwargs.get("cursor_factory")
    factory = asked or owner.cursor_factory or cursor
    if not _derives(factory, cursor):
        return None
    traced = _dbapi.derived(factory, _TracedCursor)
    if len(args) > 1:
        return (args[0], traced, *args[2:]), kwargs
    return args, {**kwargs, "cursor_factory": traced}


def _derives(factory: Any, base: Any) -> bool:
    return isinstance(factory, type) and issubclass(factory, base)


def _connection_of(cursor: Any) -> Any:
    return cursor.connection


def _describe(owner: Any) -> _sql.Database:
    info = owner.info
    return _sql.database(
        "postgresql",
        info.dbname,
        info.host,
        info.port,
        user=info.user,
        version=f"{info.server_version // 10_000}.{info.server_version % 10_000}",
        driver=_DRIVER,
    )


def _before_copy(cursor: Any, sql: Any, *_: Any, **__: Any) -> _dbapi.Call | None:
    database = _sql.known(cursor.connection, _describe)
    # The file may be an object of the application's that reads from another database.
    span = _sql.query_span(database, sql, cursor, current=False)
    return None if span is None else _dbapi.Call(span, cursor)


def _before_copy_from(cursor: Any, _file: Any, table: Any, *_: Any, **__: Any) -> _dbapi.Call | None:
    return _before_copy(cursor, f"COPY {table} FROM STDIN")


def _before_copy_to(cursor: Any, _file: Any, table: Any, *_: Any, **__: Any) -> _dbapi.Call | None:
    return _before_copy(cursor, f"COPY {table} TO STDOUT")
