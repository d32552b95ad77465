"""httpx ≥ 0.24: one span per logical call, `Client.send` and `AsyncClient.send` from the request to the answer.

Redirects and authentication steps that the client makes belong to the same span, which is named after the host that was
asked first and has the last answer's status; every hop carries its trace headers. Without streaming the time of the body
is in it; with `stream=True` and `client.stream(…)` the span ends when the headers are there.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from httpx import Request, Response

from fluoro.instrument import _http, _patch
from fluoro.propagation import XRAY
from fluoro.recorder import Span


def patch(module: ModuleType) -> None:
    _patch.around(module.Client, "send", _before, _after)
    _patch.around(module.AsyncClient, "send", _before, _after)


def _before(_client: object, request: Request, **_: Any) -> Span | None:
    if _http.is_part_of_call(request.headers.get(XRAY)):
        return None
    return _http.client_span(request.method, str(request.url), request.headers)


def _after(span: Span, response: Response, error: BaseException | None) -> None:
    if error is not None:
        _http.fail_client(span, error)
    else:
        _http.end_client(span, response.status_code, response.headers.get("Content-Length"))
