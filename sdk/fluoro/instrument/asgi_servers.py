"""uvicorn ≥ 0.20 and Hypercorn ≥ 0.14: one segment per request of any ASGI application they serve.

That covers middleware around a framework, and frameworks fluoro does not know, whose requests are all "unmatched":
routes come from the frameworks' own instrumentations. WSGI applications that these servers adapt are left to theirs.
Not traced is an application made with a framework that FLUORO_DISABLE names.

Gap: other servers (Daphne, Granian). What they serve is traced by its framework, or by `fluoro.asgi(app)`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fluoro.instrument import TABLE, _asgi, _patch, register
from fluoro.recorder import recorder

EXIT_S = 2.0

# asgiref's, a2wsgi's and Starlette's. What they adapt is a WSGI application: traced as such, by its framework.
_WSGI_ADAPTERS = frozenset({"WsgiToAsgi", "WSGIMiddleware"})


def patch(module: ModuleType) -> None:
    if module.__name__ == "uvicorn.config":
        _patch.around(module.Config, "load", lambda config: config, _loaded)
    elif module.__name__ == "uvicorn.server":
        _patch.around(module.Server, "shutdown", lambda *_, **__: True, _shut_down)
    else:
        _patch.wrap(module.ASGIWrapper, "__call__", _serve)


def _shut_down(*_: Any) -> None:
    """After its shutdown uvicorn raises the signal again that caused it. gunicorn's worker for uvicorn has put SIGTERM's
    default action back, so the process ends there, without exit handlers.
    """
    if recorder.flush is not None:
        recorder.flush(EXIT_S)


def _loaded(config: Any, _: Any, error: BaseException | None) -> None:
    """Inside of uvicorn's own proxy middleware, which corrects the client's address and the scheme."""
    if error is not None or config.interface == "wsgi":
        return
    app = config.loaded_app
    if type(app).__name__ == "ProxyHeadersMiddleware":
        if not is_left_out(app.app):
            app.app = _asgi.traced(app.app)
    elif not is_left_out(app):
        config.loaded_app = _asgi.traced(app)


async def _serve(
    original: Callable[..., Any], wrapper: Any, scope: Any, receive: Any, send: Any, *args: Any, **kwargs: Any
) -> None:
    async def call(app: Any, scope: Any, receive: Any, send: Any) -> None:
        await original(app, scope, receive, send, *args, **kwargs)

    if is_left_out(wrapper.app):
        await call(wrapper, scope, receive, send)
    else:
        await _asgi.serve(call, wrapper, scope, receive, send)


def is_left_out(app: Any) -> bool:
    """Whether `app` adapts a WSGI application, or FLUORO_DISABLE names the framework that it is made with."""
    if type(app).__name__ in _WSGI_ADAPTERS:
        return True
    if "disabled" not in register.values():
        return False
    known = {target.module.partition(".")[0]: target.module for target in TABLE}
    for kind in type(app).__mro__:
        module = known.get(kind.__module__.partition(".")[0])
        if module is not None:
            return register.get(module) == "disabled"
    return False
