"""Flask ≥ 2.2: one segment per request, from `Flask.__call__` until the server closes the response.

The operation is the rule that matched, `/orders/<int:id>` written `/orders/{id}`, behind the prefix the application is
mounted at (SCRIPT_NAME). An exception that reaches Flask's own 500 handling is the segment's cause. Flask applications
mounted in one another count as one request.

Gaps: what is called as `app.wsgi_app(…)`, by-passing the application object, is not seen; an exception for which the
application registered a handler of its own shows only by the status it was turned into.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import ModuleType
from typing import Any

from flask import Flask, has_request_context, request

from fluoro.instrument import _patch, _wsgi


def patch(module: ModuleType) -> None:
    _patch.wrap(module.Flask, "__call__", _serve)
    _patch.wrap(module.Flask, "handle_exception", _handle_exception)


def _serve(
    original: Callable[..., Any], app: Flask, environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    served = _wsgi.begin(environ, start_response, _route)
    if served is None:
        return original(app, environ, start_response)  # type: ignore[no-any-return]
    try:
        body = original(app, environ, served.start_response)
    except BaseException as error:
        served.failed(error)
        raise
    return served.returned(body) or body


def _handle_exception(original: Callable[..., Any], app: Flask, error: Exception) -> Any:
    _note(error)
    return original(app, error)


@_patch.guarded
def _note(error: Exception) -> None:
    served = _wsgi.request_of(request.environ) if has_request_context() else None
    if served is not None:
        served.note_route()
        served.span.fail(error)


def _route(environ: dict[str, Any]) -> str:
    # werkzeug leaves the request it made here until the context ends; a nested application's replaces the outer one's.
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return "" if rule is None else environ.get("SCRIPT_NAME", "") + _template(rule.rule)


_CONVERTER = re.compile(r"<(?:[^<>:]*:)?([^<>:]+)>")


@lru_cache(maxsize=4096)
def _template(rule: str) -> str:
    """`/orders/<int:id>` → `/orders/{id}`."""
    return _CONVERTER.sub(r"{\1}", rule)
