"""Falcon ≥ 3.0, WSGI and ASGI: one segment per request, from the server's or the application's `__call__` to the end of
the response. A websocket is one segment.

The operation is the template of the route that matched, converters left out. An exception that becomes a 5xx, in Falcon
or an error handler of the application's, is the segment's cause.

Gap: sinks and static routes have no template: "GET unmatched".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

from fluoro.instrument import _asgi, _patch, _wsgi


def patch(module: ModuleType) -> None:
    if module.__name__ == "falcon.app":
        _patch.wrap(module.App, "__call__", _wsgi.serve)
        _patch.around(module.App, "_get_responder", _request, _routed)
    else:
        _patch.wrap(module.App, "__call__", _asgi.serve)
    _patch.wrap(module.App, "_handle_exception", _handle_exception)  # a coroutine function in the ASGI class


def _request(_app: Any, request: Any) -> Any:
    return request


def _routed(request: Any, result: Any, error: BaseException | None) -> None:
    uri_template = None if error is not None else result[3]
    if uri_template is None:
        return
    template = _template(uri_template)
    scope = getattr(request, "scope", None)
    if scope is None:
        _wsgi.note_route(request.env, template)
        return
    served = _asgi.request_of(scope)
    if served is not None:
        root = scope.get("root_path", "").rstrip("/")
        # Falcon matches the path as it is; servers differ in whether the root path is a part of it.
        served.route = template if scope["path"].startswith(f"{root}/") else root + template


def _handle_exception(
    original: Callable[..., Any], app: Any, request: Any, response: Any, error: Exception, *args: Any, **kwargs: Any
) -> Any:
    _note_raised(request, error)
    return original(app, request, response, error, *args, **kwargs)


@_patch.guarded
def _note_raised(request: Any, error: Exception) -> None:
    scope = getattr(request, "scope", None)
    if scope is None:
        _wsgi.note_raised(request.env, error)
    else:
        served = _asgi.request_of(scope)
        if served is not None:
            served.raised = error


_FIELD = re.compile(r"\{([^{}:]+):[^{}]*\}")


@lru_cache(maxsize=4096)
def _template(uri_template: str) -> str:
    """`/orders/{id:int(min=1)}` → `/orders/{id}`."""
    return _FIELD.sub(r"{\1}", uri_template)
