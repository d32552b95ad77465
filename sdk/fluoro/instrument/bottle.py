"""Bottle ≥ 0.12.19: one segment per request, from the server's or `Bottle.__call__` until the server closes the response.

The operation is the rule that matched, `/orders/<id:int>` written `/orders/{id}`, behind the prefix the application is
mounted at. An exception that becomes a 5xx, in Bottle or a handler of the application's, is the segment's cause.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import ModuleType
from typing import Any

from bottle import HTTPError, request

from fluoro.instrument import _patch, _wsgi


def patch(module: ModuleType) -> None:
    _patch.wrap(module.Bottle, "__call__", _wsgi.serve)
    _patch.around(module.Router, "match", _environ, _matched)
    _patch.around(module.Bottle, "_cast", _note_raised, _nothing)


def _environ(_router: Any, environ: dict[str, Any]) -> dict[str, Any]:
    return environ


def _matched(environ: dict[str, Any], result: Any, error: BaseException | None) -> None:
    if error is None:
        _wsgi.note_route(environ, _template(result[0].rule))


def _note_raised(_app: Any, out: Any, _peek: Any = None) -> None:
    """Bottle keeps an exception in the answer it makes of it; `abort(503)` is both."""
    if isinstance(out, HTTPError):
        error = out.exception or out
        if error.__traceback__ is not None:
            _wsgi.note_raised(request.environ, error)


def _nothing(*_: Any) -> None:
    """Never called: `_note_raised` starts nothing."""


_WILDCARD = re.compile(r"<(\w*)(?::\w*(?::(?:\\.|[^\\>])*)?)?>|:(\w+)(?:#[^#]*#)?")


@lru_cache(maxsize=4096)
def _template(rule: str) -> str:
    """`/orders/<id:int>` → `/orders/{id}`; a wildcard without a name, as mounts make them, is `{path}`."""
    return _WILDCARD.sub(lambda found: f"{{{found[1] or found[2] or 'path'}}}", rule)
