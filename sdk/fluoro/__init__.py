"""fluoro: tracing for Python applications, compatible with AWS X-Ray and OpenTelemetry.

    fluoro run python app.py          # no change to the code

or in the code, before the libraries are imported:

    import fluoro
    fluoro.install()

    with fluoro.span("price"):
        fluoro.annotate("customer", "gold")

Importing this starts no thread and opens no socket; what it offers is loaded when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` is not imported at the start of a traced process
if TYPE_CHECKING:
    from fluoro.activation import install, uninstall
    from fluoro.api import annotate, asgi, current_trace_id, flush, lambda_handler, metadata, span, statistics, wsgi
    from fluoro.errors import ContextMissing, FluoroError, MissingExtra, SettingsError
    from fluoro.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "ContextMissing",
    "FluoroError",
    "MissingExtra",
    "Settings",
    "SettingsError",
    "__version__",
    "annotate",
    "asgi",
    "current_trace_id",
    "flush",
    "install",
    "lambda_handler",
    "metadata",
    "span",
    "statistics",
    "uninstall",
    "wsgi",
]

_HOME = {
    "ContextMissing": "fluoro.errors",
    "FluoroError": "fluoro.errors",
    "MissingExtra": "fluoro.errors",
    "Settings": "fluoro.settings",
    "SettingsError": "fluoro.errors",
    "annotate": "fluoro.api",
    "asgi": "fluoro.api",
    "current_trace_id": "fluoro.api",
    "flush": "fluoro.api",
    "install": "fluoro.activation",
    "lambda_handler": "fluoro.api",
    "metadata": "fluoro.api",
    "span": "fluoro.api",
    "statistics": "fluoro.api",
    "uninstall": "fluoro.activation",
    "wsgi": "fluoro.api",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'fluoro' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
