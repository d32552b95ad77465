"""Quart ≥ 0.18: one segment per request, as for every ASGI application (see `_asgi`).

The operation is the rule that matched, `/orders/<int:id>` written `/orders/{id}`, behind the root path. An exception that
reaches Quart's own 500 handling is the cause. A websocket is one segment per connection, "WS /route".

Gap: an exception for which the application registered a handler of its own shows only by the status it was turned into.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import ModuleType
from typing import Any

from quart.ctx import has_request_context, has_websocket_context
from quart.globals import request, websocket

from fluoro.instrument import _asgi, _patch


def patch(module: ModuleType) -> None:
    _patch.wrap(module.Quart, "__call__", _asgi.serve)
    for name in ("full_dispatch_request", "full_dispatch_websocket"):
        _patch.around(module.Quart, name, _note_route, _nothing)
    for name in ("handle_exception", "handle_websocket_exception"):
        _patch.around(module.Quart, name, _note_exception, _nothing)


def _note_route(*_: Any) -> None:
    connection = _connection()
    served = None if connection is None else _asgi.request_of(connection.scope)
    if served is not None and connection.url_rule is not None:
        root = connection.scope.get("root_path", "").rstrip("/")
        served.route = root + _template(connection.url_rule.rule)


def _note_exception(app: Any, error: Exception) -> None:  # noqa: ARG001
    connection = _connection()
    served = None if connection is None else _asgi.request_of(connection.scope)
    if served is not None:
        served.raised = error


def _connection() -> Any:
    if has_request_context():
        return request
    return websocket if has_websocket_context() else None


def _nothing(*_: Any) -> None:
    """After a call whose `before` has returned None."""


_CONVERTER = re.compile(r"<(?:[^<>:]*:)?([^<>:]+)>")


@lru_cache(maxsize=4096)
def _template(rule: str) -> str:
    """`/orders/<int:id>` → `/orders/{id}`."""
    return _CONVERTER.sub(r"{\1}", rule)
