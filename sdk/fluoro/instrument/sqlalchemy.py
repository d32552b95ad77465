"""SQLAlchemy ≥ 1.4: one span per statement, if the driver below is not traced itself.

Of psycopg, PyMySQL, sqlite3 and the other drivers of the table the driver's span is the span, under SQLAlchemy as
without it, asyncio included. What remains are the drivers without a row: pyodbc, oracledb, duckdb and so on. The execute
methods of dialects are patched, those of a third party's dialect when its first engine is made.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect

from fluoro import instrument
from fluoro.instrument import _patch, _sql
from fluoro.recorder import Span

_METHODS = ("do_execute", "do_execute_no_params", "do_executemany")


def patch(_module: ModuleType) -> None:
    _patch_dialect(DefaultDialect)
    _patch.around(Engine, "__init__", _engine_being_made, _engine_made)


def _engine_being_made(engine: Any, *_: Any, **__: Any) -> Any:
    return engine


def _engine_made(engine: Any, _: object, error: BaseException | None) -> None:
    if error is None:
        for cls in type(engine.dialect).__mro__:
            if issubclass(cls, DefaultDialect):
                _patch_dialect(cls)


def _patch_dialect(cls: type) -> None:
    for name in _METHODS:
        if name in vars(cls):
            many = name == "do_executemany"
            _patch.around(cls, name, _before_many if many else _before, _sql.end)


def _before(dialect: Any, _cursor: Any, statement: Any, *more: Any, **named: Any) -> Span | None:
    # The context is the last argument of all three methods.
    context = named.get("context", more[-1] if more else None)
    engine = getattr(getattr(context, "root_connection", None), "engine", None)
    if _is_traced(dialect) or engine is None:
        return None
    return _sql.query_span(_database(dialect, engine.url), statement)


def _before_many(dialect: Any, cursor: Any, statement: Any, parameters: Any, *more: Any, **named: Any) -> Span | None:
    span = _before(dialect, cursor, statement, parameters, *more, **named)
    if span is not None:
        _sql.count_batch(span, parameters)
    return span


# The asyncio dialects' `dbapi` is an object of SQLAlchemy's own that has the driver's module as an attribute.
_ADAPTED = ("asyncpg", "aiosqlite", "psycopg")
_DRIVERS = {"aiosqlite": "sqlite3", "mysql": "mysql.connector"}


def _is_traced(dialect: Any) -> bool:
    """Whether the driver records its statements itself."""
    dbapi = dialect.dbapi
    name = getattr(dbapi, "__name__", None)
    if name is None:
        name = next((each for each in _ADAPTED if hasattr(dbapi, each)), "")
    top = name.partition(".")[0]
    return instrument.register.get(_DRIVERS.get(top, top)) == "patched"


def _database(dialect: Any, url: Any) -> _sql.Database:
    version = ".".join(str(part) for part in getattr(dialect, "server_version_info", None) or ())
    if dialect.name == "sqlite":
        return _sql.Database(str(url.database or ":memory:").rpartition("/")[2], "sqlite", version=version)
    return _sql.database(
        dialect.name, url.database, url.host, url.port, user=url.username, version=version, driver=dialect.driver
    )
