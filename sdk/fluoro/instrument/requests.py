"""requests ≥ 2.20: one span per logical call, `Session.send` from the request to the answer.

Redirects that the session follows belong to the same span, which is named after the host that was asked first and has
the last answer's status; every hop carries its trace headers. Without `stream=True` the time of the body is in it, with
`stream=True` the span ends when the headers are there.

Gap: a subclass of Session that overrides `send` and never calls the original is not seen.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from requests import PreparedRequest, Response

from fluoro.instrument import _http, _patch
from fluoro.propagation import XRAY
from fluoro.recorder import Span


def patch(module: ModuleType) -> None:
    _patch.around(module.Session, "send", _before, _after)


def _before(_session: object, request: PreparedRequest, **_: Any) -> Span | None:
    # The session sends each redirect through `send` again, with a copy of the headers we set.
    if not isinstance(request, PreparedRequest) or _http.is_part_of_call(request.headers.get(XRAY)):
        return None
    return _http.client_span(request.method or "", request.url or "", request.headers)


def _after(span: Span, response: Response, error: BaseException | None) -> None:
    if error is not None:
        _http.fail_client(span, error)
    else:
        _http.end_client(span, response.status_code, response.headers.get("Content-Length"))
