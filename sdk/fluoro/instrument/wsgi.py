"""Any WSGI application, by the server that calls it: wsgiref (so Django's `runserver` too), werkzeug, gunicorn (sync,
gthread, gevent, eventlet workers), waitress, cheroot, gevent.

The server's entry opens the segment; a framework of the table writes its route and exceptions into it. Without one the
operation is "GET unmatched": a path is no name.

Gaps: servers written in C (uWSGI, mod_wsgi, bjoern) give no place for it; frameworks of the table open the segment
themselves there, other applications do with `fluoro.wsgi`. eventlet's own server, too.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fluoro.instrument import _patch, _wsgi

# module → its class whose instances hold the application, and where.
_SERVERS = {
    "werkzeug.serving": ("BaseWSGIServer", "app"),
    "waitress.server": ("BaseWSGIServer", "application"),
    "cheroot.wsgi": ("Server", "wsgi_app"),
    "gevent.pywsgi": ("WSGIServer", "application"),
}
# The other workers of gunicorn serve ASGI or tornado.
_WSGI_WORKERS = frozenset({"gunicorn.workers.sync", "gunicorn.workers.gthread", "gunicorn.workers.base_async"})


def patch(module: ModuleType) -> None:
    if module.__name__ == "gunicorn.workers.base":
        _patch.around(module.Worker, "load_wsgi", _wsgi_worker, _loaded)
    else:
        kind, attribute = _SERVERS[module.__name__]

        def initialised(server: Any, _result: Any, error: BaseException | None) -> None:
            if error is None:
                setattr(server, attribute, _wsgi.traced(getattr(server, attribute)))

        _patch.around(getattr(module, kind), "__init__", _self, initialised)


def _self(server: Any, *_: Any, **__: Any) -> Any:
    return server


def run(original: Callable[..., None], handler: Any, application: Any) -> None:
    """For `wsgiref.handlers.BaseHandler.run`."""
    original(handler, _wsgi.traced(application))


def _wsgi_worker(worker: Any) -> Any:
    return worker if any(kind.__module__ in _WSGI_WORKERS for kind in type(worker).__mro__) else None


def _loaded(worker: Any, _result: Any, error: BaseException | None) -> None:
    if error is None:
        worker.wsgi = _wsgi.traced(worker.wsgi)
