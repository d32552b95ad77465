r"""Pyramid ≥ 1.10: one segment per request, from the server's or `Router.__call__` until the server closes the response.

The operation is the pattern of the route that matched, `/orders/{id:\d+}` written `/orders/{id}`, behind the prefix the
application is mounted at. An exception that an exception view turns into a 5xx is the segment's cause, as one that
none of them takes.

Gap: what is found by traversal alone has no pattern: "GET unmatched".
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

from pyramid.urldispatch import RoutesMapper
from pyramid.view import ViewMethodsMixin

from fluoro.instrument import _patch, _wsgi


def patch(module: ModuleType) -> None:
    _patch.wrap(module.Router, "__call__", _wsgi.serve)
    _patch.around(RoutesMapper, "__call__", _environ, _matched)
    _patch.wrap(ViewMethodsMixin, "invoke_exception_view", _invoke_exception_view)


def _environ(_mapper: Any, request: Any) -> dict[str, Any]:
    environ: dict[str, Any] = request.environ
    return environ


def _matched(environ: dict[str, Any], result: Any, error: BaseException | None) -> None:
    route = None if error is not None else result["route"]
    if route is not None:
        _wsgi.note_route(environ, _template(route.pattern))


def _invoke_exception_view(original: Callable[..., Any], request: Any, *args: Any, **kwargs: Any) -> Any:
    _note_raised(request, args[0] if args else kwargs.get("exc_info"))
    return original(request, *args, **kwargs)


@_patch.guarded
def _note_raised(request: Any, exc_info: Any) -> None:
    error = (exc_info or sys.exc_info())[1]
    if error is not None:
        _wsgi.note_raised(request.environ, error)


_REPLACED = re.compile(r"\{([^{}:]+):[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
_OLD_STYLE = re.compile(r":([a-zA-Z_]\w*)")
_REMAINDER = re.compile(r"/?\*(\w*)$")


@lru_cache(maxsize=4096)
def _template(pattern: str) -> str:
    r"""`orders/{id:\d{4}}/*rest` → `/orders/{id}/{rest}`."""
    pattern = _REPLACED.sub(r"{\1}", pattern) if "{" in pattern else _OLD_STYLE.sub(r"{\1}", pattern)
    return "/" + _REMAINDER.sub(r"/{\1}", pattern).lstrip("/")
