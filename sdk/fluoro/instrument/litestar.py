"""Litestar ≥ 2.12 (the first to tell the template of a route): one segment per request, as for every ASGI application (see `_asgi`).

The operation is the template of the route, behind the prefix of a mounted application. An exception is the cause where
it becomes a 5xx, also by a handler of the application's own; an `HTTPException` is an answer. A websocket is one segment
per connection, "WS /route".
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from litestar.exceptions import HTTPException, WebSocketException

from fluoro.instrument import _asgi, _patch
from fluoro.instrument._asgi import Scope, Send


def patch(module: ModuleType) -> None:
    _patch.wrap(module.Litestar, "__call__", _serve)
    _patch.around(module.Litestar, "__init__", lambda app, *_, **__: app, _listen)


async def _serve(original: Callable[..., Any], app: Any, scope: Scope, receive: Any, send: Send) -> None:
    await _asgi.serve(_call, (original, app), scope, receive, send)


async def _call(target: tuple[Callable[..., Any], Any], scope: Scope, receive: Any, send: Send) -> None:
    original, app = target
    _find_route_in(scope)
    await original(app, scope, receive, send)


@_patch.guarded
def _find_route_in(scope: Scope) -> None:
    served = _asgi.request_of(scope)
    if served is not None:
        served.find_route = _Route(served, scope)


class _Route:
    """Finds the template of a request's route when it is over; for one application, which may be mounted in another."""

    __slots__ = ("_base", "_other", "_path", "_scope")

    def __init__(self, served: _asgi.Request, scope: Scope) -> None:
        outer = served.find_route
        self._base: str
        if isinstance(outer, _Route):
            self._base = outer._base + outer._mount()  # noqa: SLF001
        else:
            self._base = served.mounted_at or scope.get("root_path", "").rstrip("/")
        self._scope = scope
        self._other = scope.get("route_handler")  # the outer application's
        self._path = scope["path"].rstrip("/")

    def __call__(self) -> str:
        scope = self._scope
        handler = scope.get("route_handler")
        if handler is None or handler is self._other:
            return ""
        if getattr(handler, "is_mount", False):
            return f"{self._base}{self._mount()}/{{path}}"
        # Old versions give no template for a route without parameters: it is the path.
        return f"{self._base}{scope.get('path_template') or scope['path']}"

    def _mount(self) -> str:
        """Where the application that takes this request is mounted. Such a path has no parameters, so what it was asked
        for and what is left of that tell it.
        """
        rest = self._scope["path"].rstrip("/")
        return self._path.removesuffix(rest) if self._path.endswith(rest) else ""


def _listen(app: Any, _: Any, error: BaseException | None) -> None:
    if error is None:
        app.after_exception.append(_note)


async def _note(error: Exception, scope: Scope) -> None:
    _note_raised(error, scope)


@_patch.guarded
def _note_raised(error: Exception, scope: Scope) -> None:
    served = _asgi.request_of(scope)
    if served is not None and not isinstance(error, (HTTPException, WebSocketException)):
        served.raised = error
