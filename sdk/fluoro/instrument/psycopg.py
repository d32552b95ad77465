"""psycopg ≥ 3.1, sync and async: one span per `execute`, `executemany`, `stream` and `copy`, of any kind of cursor.

`Connection.execute` makes a cursor, whose span it is. A `stream` ends when its first row is there, a `copy` when its
block ends; neither is current meanwhile, so what the application does with the rows is not inside. In a pipeline a span
is the sending only, and errors belong to whoever asks for the result. Template strings (Python 3.14) are not traced.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any

from psycopg import __version__

from fluoro.instrument import _dbapi, _patch, _sql

_DRIVER = f"psycopg {__version__}"


def patch(module: ModuleType) -> None:
    cursors = (module.Cursor, module.ServerCursor, module.AsyncCursor, module.AsyncServerCursor)
    _dbapi.patch_cursors(cursors, _connection_of, _describe)
    _patch.wrap(module.Cursor, "stream", _stream)
    _patch.wrap(module.Cursor, "copy", _copy)
    _patch.wrap(module.AsyncCursor, "stream", _stream_async)
    _patch.wrap(module.AsyncCursor, "copy", _copy_async)


def _connection_of(cursor: Any) -> Any:
    return cursor.connection


def _describe(connection: Any) -> _sql.Database:
    info = connection.info
    return _sql.database(
        "postgresql",
        info.dbname,
        info.host,
        info.port,
        user=info.user,
        version=f"{info.server_version // 10_000}.{info.server_version % 10_000}",
        driver=_DRIVER,
    )


@_patch.guarded
def _before(cursor: Any, *args: Any, **kwargs: Any) -> _dbapi.Call | None:
    query = args[0] if args else kwargs.get("query", kwargs.get("statement"))
    span = _sql.query_span(_sql.known(cursor.connection, _describe), query, cursor, current=False)
    return None if span is None else _dbapi.Call(span, cursor)


@_patch.guarded
def _after(call: _dbapi.Call | None, error: BaseException | None = None) -> None:
    if call is not None:
        _sql.end(call.span, None, error)


def _stream(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[Any]:
    call = _before(*args, **kwargs)
    rows = original(*args, **kwargs)
    try:
        try:
            first = next(rows)
        except StopIteration:
            _after(call)
            return
        except BaseException as error:
            _after(call, error)
            raise
        _after(call)
        yield first
        yield from rows
    finally:
        rows.close()


def _copy(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return _copying(original, args, kwargs)


@contextmanager
def _copying(original: Callable[..., Any], args: Any, kwargs: Any) -> Iterator[Any]:
    call = _before(*args, **kwargs)
    try:
        with original(*args, **kwargs) as copy:
            yield copy
    except BaseException as error:
        _after(call, error)
        raise
    _after(call)


async def _stream_async(original: Callable[..., Any], *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    call = _before(*args, **kwargs)
    rows = original(*args, **kwargs)
    try:
        try:
            first = await anext(rows)
        except StopAsyncIteration:
            _after(call)
            return
        except BaseException as error:
            _after(call, error)
            raise
        _after(call)
        yield first
        async for row in rows:
            yield row
    finally:
        await rows.aclose()


def _copy_async(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return _copying_async(original, args, kwargs)


@asynccontextmanager
async def _copying_async(original: Callable[..., Any], args: Any, kwargs: Any) -> AsyncIterator[Any]:
    call = _before(*args, **kwargs)
    try:
        async with original(*args, **kwargs) as copy:
            yield copy
    except BaseException as error:
        _after(call, error)
        raise
    _after(call)
