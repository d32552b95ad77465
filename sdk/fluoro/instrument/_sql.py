"""How a database call is recorded: one span, named after the database, with the statement and no value in it.

Drivers differ only in the `Database` they describe and where they call `query_span` and `end`. Parameters are never
looked at; literals in the text become `?` (see `_sql_text`). A span is one `execute`, `executemany` or `callproc`.
Fetching rows, connecting, and commit and rollback as methods are none; a COMMIT that goes through `execute` is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fluoro.instrument._sql_text import MAX_READ, statement
from fluoro.model import Kind, Sql
from fluoro.recorder import Span, recorder


class Database(NamedTuple):
    """Whom the statements of one connection go to. `type` is OpenTelemetry's name ("postgresql") and decides how
    statements are read; `name` is what the node on the map is called; `driver` is its name and version.
    """

    name: str
    type: str
    url: str = ""
    user: str = ""
    version: str = ""
    driver: str = ""


def database(
    kind: str,
    name: object,
    host: object,
    port: object = "",
    *,
    user: object = "",
    version: object = "",
    driver: str = "",
) -> Database:
    """A server's database, called `shop@db.internal`. What the driver does not say is left out; a socket's directory
    counts as localhost.
    """
    where, called, number = _text(host) or "localhost", _text(name), _text(port)
    if where[0] in "/@":
        where, number = "localhost", ""
    title = where if called in ("", where) else f"{called}@{where}"
    url = f"{kind}://{where}{f':{number}' if number else ''}/{called}"
    return Database(title[:200], kind, url[:500], _text(user)[:250], _text(version)[:100], driver)


def known(connection: Any, describe: Callable[[Any], Database]) -> Database | None:
    """The database of `connection`, described once. None when the connection cannot say, which is when it is closed:
    the driver will refuse the call.
    """
    try:
        found: Database = connection._fluoro_database  # noqa: SLF001
    except AttributeError:
        try:
            found = connection._fluoro_database = describe(connection)  # noqa: SLF001
        except Exception:  # noqa: BLE001  a driver's own error about its own connection
            return None
    except ReferenceError:  # mysql-connector's cursors refer weakly
        return None
    return found


def query_span(
    to: Database | None, query: object, context: object = None, *, current: bool = True, preparation: str = ""
) -> Span | None:
    """A call span for one execution of `query`: str, bytes, or an object of `psycopg.sql` that `context` renders.

    None inside another database call, where a driver or an application's subclass of it calls itself; where nothing is
    recorded; and for what is no text: the driver will refuse it. With `current` False the application's code that runs
    during the call (a COPY's source) is not inside it.
    """
    above = recorder.current()
    if to is None or (
        above is not None and (not above.trace.recording or (above.recording and above.segment.sql is not None))
    ):
        return None
    text = query if type(query) is str else _query_text(query, context)
    if text is None:
        return None
    operation, shown = statement(text, to.type)
    if current:
        span = recorder.begin(to.name, operation, Kind.CLIENT, "remote")
    else:
        span = recorder.start(to.name, operation, Kind.CLIENT, "remote", above=above)
    if span.recording:
        span.segment.sql = Sql(to.type, to.url, to.user, shown, to.version, to.driver, "", preparation)
    return span


def end(span: Span, _result: object, error: BaseException | None) -> None:
    """The call returned, or raised `error`. One that was cancelled is no fault."""
    if isinstance(error, Exception):
        span.fail(error)
    span.end()


def count(span: Span, what: str, number: object) -> None:
    """Keep a count beside the statement: "rows" that were affected or found, "batch" of parameter sets. Drivers say
    that they do not know with None, -1 or 2⁶⁴-1.
    """
    if span.recording and isinstance(number, int) and 0 <= number < 1 << 63:
        metadata = span.segment.metadata
        if metadata is None:
            span.segment.metadata = {"sql": {what: number}}
        else:
            metadata.setdefault("sql", {})[what] = number


def count_batch(span: Span, sets: object) -> None:
    """Keep how many sets of parameters `executemany` was given, if they can be counted without using them up."""
    if isinstance(sets, (list, tuple)):
        count(span, "batch", len(sets))


def _query_text(query: Any, context: object) -> str | None:
    if isinstance(query, str):
        return query
    if isinstance(query, (bytes, bytearray)):
        return query[:MAX_READ].decode("utf-8", "replace")
    as_string = getattr(query, "as_string", None)
    if as_string is None:
        return None
    try:
        return str(as_string(context))
    except Exception:  # noqa: BLE001  what cannot be rendered, the driver refuses
        return None


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else str(value)
