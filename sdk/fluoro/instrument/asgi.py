"""Starlette ≥ 0.27 and FastAPI: one segment per request, from the application's `__call__` to the last message of the body.

The operation is the template of the route, behind the server's root path and the mounts that lead to it. Mounted
applications count as one request. Background tasks still belong to the request, whose segment has ended before; only
after a 5xx it ends when the application returns, because Starlette answers first and raises afterwards. A websocket is
one segment per connection, "WS /route", status 101, which is sent when the connection is over. Lifespan is not traced.

FastAPI ≥ 0.140 or so opens spans of its own through OpenTelemetry. Where they would come to us they are switched off
(as by `FastAPI(telemetry={"tracing": False})`): they would be every request a second time.

Gap: an exception for which the application registered a handler of its own shows only by the status it was turned into.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import modules
from types import ModuleType
from typing import Any

from fluoro.instrument import _asgi, _patch, register
from fluoro.instrument._asgi import Scope, Send


def patch(module: ModuleType) -> None:
    from starlette.routing import Mount, Route, WebSocketRoute

    for route in (Mount, Route, WebSocketRoute):
        _patch.wrap(route, "handle", _handle)
    if module.__name__.startswith("fastapi"):
        from fastapi.routing import APIRoute

        _patch.wrap(module.FastAPI, "__call__", _serve_fastapi)
        _patch.wrap(APIRoute, "handle", _handle)
    elif register.get("fastapi.applications") == "disabled":
        _patch.wrap(module.Starlette, "__call__", _serve_all_but_fastapi)
    else:
        _patch.wrap(module.Starlette, "__call__", _asgi.serve)


async def _serve_fastapi(original: Callable[..., Any], app: Any, scope: Scope, receive: Any, send: Send) -> None:
    _silence_own_telemetry(app)
    await _asgi.serve(original, app, scope, receive, send)


async def _serve_all_but_fastapi(
    original: Callable[..., Any], app: Any, scope: Scope, receive: Any, send: Send
) -> None:
    """FastAPI calls the `__call__` it inherits."""
    if any(kind.__module__ == "fastapi.applications" for kind in type(app).__mro__):
        await original(app, scope, receive, send)
    else:
        await _asgi.serve(original, app, scope, receive, send)


async def _handle(original: Callable[..., Any], route: Any, scope: Scope, receive: Any, send: Send) -> None:
    _note_route(route, scope)
    await original(route, scope, receive, send)


@_patch.guarded
def _note_route(route: Any, scope: Scope) -> None:
    served = _asgi.request_of(scope)
    if served is None:
        return
    # FastAPI ≥ 0.137 or so keeps an included router's routes as they were declared, their full path in this context.
    context = scope.get("fastapi", {}).get("effective_route_context")
    if context is not None and getattr(context, "original_route", None) is route:
        route = getattr(context, "starlette_route", None) or context
    root = scope.get("app_root_path", scope.get("root_path", "")).rstrip("/")
    template = route.path_format
    if hasattr(route, "routes"):
        served.mounted_at += template.removesuffix("/{path}")
        served.route = f"{root}{served.mounted_at}/{{path}}"
    else:
        served.route = f"{root}{served.mounted_at}{template}"


@_patch.guarded
def _silence_own_telemetry(app: Any) -> None:
    telemetry = vars(app).get("_telemetry")
    if not isinstance(telemetry, dict) or not telemetry.get("tracing") or telemetry.get("tracer_provider") is not None:
        return
    trace = modules.get("opentelemetry.trace")
    if trace is not None and type(trace.get_tracer_provider()).__module__ == "fluoro.otel.provider":
        telemetry["tracing"] = False
