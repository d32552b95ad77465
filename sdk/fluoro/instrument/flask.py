"""Flask ≥ 2.2: one segment per request, from the server's or `Flask.__call__` until the server closes the response.

The operation is the rule that matched, `/orders/<int:id>` written `/orders/{id}`, behind the prefix the application is
mounted at (SCRIPT_NAME). An exception that Flask or the application's own error handler turns into a 5xx is the
segment's cause. Applications mounted in one another count as one request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

from flask import Flask, has_request_context, request

from fluoro.instrument import _patch, _wsgi


def patch(module: ModuleType) -> None:
    _patch.wrap(module.Flask, "__call__", _wsgi.serve)
    _patch.wrap(module.Flask, "full_dispatch_request", _dispatch)
    for handler in ("handle_user_exception", "handle_exception"):
        _patch.wrap(module.Flask, handler, _handle)


def _dispatch(original: Callable[..., Any], app: Flask, *args: Any) -> Any:
    _note_route()
    return original(app, *args)


@_patch.guarded
def _note_route() -> None:
    served = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  the object that the proxy looks up
    rule = served.url_rule
    if rule is not None:
        _wsgi.note_route(served.environ, _template(rule.rule))


def _handle(original: Callable[..., Any], app: Flask, *args: Any) -> Any:
    _note_raised(args[-1])
    return original(app, *args)


@_patch.guarded
def _note_raised(error: Exception) -> None:
    if has_request_context():
        _wsgi.note_raised(request.environ, error)


_CONVERTER = re.compile(r"<(?:[^<>:]*:)?([^<>:]+)>")


@lru_cache(maxsize=4096)
def _template(rule: str) -> str:
    """`/orders/<int:id>` → `/orders/{id}`."""
    return _CONVERTER.sub(r"{\1}", rule)
