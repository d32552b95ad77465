"""Django ≥ 3.2, WSGI and ASGI, sync and async views: one segment per request, from the server's or the handler's
`__call__` to the end of the response.

The operation is the route of the matched pattern with those of its includes, `orders/<int:id>` written `/orders/{id}`,
regular expressions made readable, behind the script name. An exception that Django, a middleware's
`process_exception` or an error handler turns into a 5xx is the segment's cause. Queries come from the database's driver;
before 4.2 Django's SQLite cursor calls the driver's base class past what is patched, so there it is patched itself.

Only classes are patched: nothing reads the settings, and MIDDLEWARE stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

from django import VERSION

from fluoro.instrument import _asgi, _patch, _regex_route, _wsgi, register


def patch(module: ModuleType) -> None:
    if module.__name__ == "django.core.handlers.wsgi":
        _patch.wrap(module.WSGIHandler, "__call__", _wsgi.serve)
    elif module.__name__ == "django.core.handlers.asgi":
        _patch.wrap(module.ASGIHandler, "__call__", _asgi.serve)
    elif module.__name__ == "django.contrib.staticfiles.handlers":
        _patch.wrap(module.StaticFilesHandlerMixin, "serve", _serve_file)
    elif module.__name__ == "django.db.backends.sqlite3.base":
        if VERSION < (4, 2) and register.get("sqlite3") != "disabled":
            from fluoro.instrument import sqlite3  # here: it imports the driver, whose import it is made for

            _patch.around(module.SQLiteCursorWrapper, "execute", sqlite3.before, sqlite3.after)
            _patch.around(module.SQLiteCursorWrapper, "executemany", sqlite3.before_many, sqlite3.after)
    else:
        from django.core.handlers import exception

        _patch.around(module.BaseHandler, "resolve_request", _request, _resolved)
        _patch.wrap(module.BaseHandler, "process_exception_by_middleware", _process_exception)
        _patch.wrap(exception, "handle_uncaught_exception", _handle_uncaught)


def _request(_handler: Any, request: Any) -> Any:
    return request


def _resolved(request: Any, match: Any, error: BaseException | None) -> None:
    if error is None:
        _note_route(request, _template(match.route))


def _process_exception(original: Callable[..., Any], handler: Any, error: Exception, request: Any) -> Any:
    _note_raised(request, error)
    return original(handler, error, request)


def _handle_uncaught(original: Callable[..., Any], request: Any, resolver: Any, exc_info: Any) -> Any:
    _note_raised(request, exc_info[1])
    return original(request, resolver, exc_info)


def _serve_file(original: Callable[..., Any], handler: Any, request: Any) -> Any:
    _note_file(handler, request)
    return original(handler, request)


@_patch.guarded
def _note_file(handler: Any, request: Any) -> None:
    _note_route(request, f"{handler.base_url.path}{{path}}")


def _note_route(request: Any, template: str) -> None:
    scope = getattr(request, "scope", None)
    if scope is None:
        _wsgi.note_route(request.environ, template)
        return
    served = _asgi.request_of(scope)
    if served is not None:
        served.route = request.META["SCRIPT_NAME"].rstrip("/") + template


@_patch.guarded
def _note_raised(request: Any, error: Exception) -> None:
    scope = getattr(request, "scope", None)
    if scope is None:
        _wsgi.note_raised(request.environ, error)
        return
    served = _asgi.request_of(scope)
    if served is not None:
        served.raised = error


_CONVERTER = re.compile(r"<(?:[^<>:]*:)?([^<>:]+)>")
_REGEX = re.compile(r"[\\^$(]")


@lru_cache(maxsize=4096)
def _template(route: str) -> str:
    r"""`orders/<int:id>/(?P<part>\w+)$` → `/orders/{id}/{part}`: the parts of one route may be of either kind."""
    if _REGEX.search(route):
        route = _regex_route.template(route)
    return "/" + _CONVERTER.sub(r"{\1}", route).lstrip("/")
