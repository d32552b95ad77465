"""aiohttp's client ≥ 3.8: one span per `ClientSession` request, from the call until the answer's headers are there.

Redirects and repeated attempts belong to the same span, which is named after the host that was asked first and has the
last answer's status. Of a websocket the handshake is the span. Reading the body is not in it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from aiohttp import ClientResponse, ClientResponseError, ClientSession
from multidict import CIMultiDict

from fluoro.instrument import _http, _patch
from fluoro.propagation import XRAY
from fluoro.recorder import Span


def patch(module: ModuleType) -> None:
    _patch.wrap(module.ClientSession, "_request", _request)


async def _request(
    original: Callable[..., Any], session: ClientSession, method: str, str_or_url: Any, **keywords: Any
) -> ClientResponse:
    headers = _copied(keywords.get("headers"))
    span = None if headers is None else _begin(session, method, str_or_url, headers)
    try:
        if span is not None:
            keywords["headers"] = headers
        response: ClientResponse = await original(session, method, str_or_url, **keywords)
    except BaseException as error:
        _failed(span, error)
        raise
    _answered(span, response)
    return response


def _copied(headers: Any) -> CIMultiDict[str] | None:
    """None for what aiohttp will refuse."""
    try:
        return CIMultiDict(headers or ())
    except (TypeError, ValueError):
        return None


@_patch.guarded
def _begin(session: Any, method: str, url: Any, headers: CIMultiDict[str]) -> Span | None:
    if _http.is_part_of_call(headers.get(XRAY)):
        return None
    base = session._base_url  # noqa: SLF001  there is no other way to know it
    if base is not None and "://" not in str(url).partition("?")[0]:
        url = base.join(type(base)(str(url)))
    return _http.client_span(method.upper(), str(url), headers)


@_patch.guarded
def _answered(span: Span | None, response: ClientResponse) -> None:
    if span is not None:
        _http.end_client(span, response.status, response.headers.get("Content-Length"))


@_patch.guarded
def _failed(span: Span | None, error: BaseException) -> None:
    if span is not None:
        _http.fail_client(span, error, error.status if isinstance(error, ClientResponseError) else None)
