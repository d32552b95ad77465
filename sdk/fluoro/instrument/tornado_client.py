"""Tornado's client ≥ 6.1: one span per `AsyncHTTPClient.fetch`, from the call until its Future is done, body included.

Redirects belong to the same span, which is named after the host that was asked first and has the last answer's status.
The time a request waits for one of `max_clients` slots is in it. `HTTPClient` is covered, it runs an AsyncHTTPClient.

Gap: `websocket_connect` is not traced.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

from fluoro.instrument import _http, _patch
from fluoro.propagation import XRAY
from fluoro.recorder import Span

_NO_ANSWER = 599  # Tornado's own status of what was never answered


def patch(module: ModuleType) -> None:
    _patch.wrap(module.AsyncHTTPClient, "fetch", _fetch)


def _fetch(
    original: Callable[..., Any], client: AsyncHTTPClient, request: Any, raise_error: bool = True, **keywords: Any
) -> Future[HTTPResponse]:
    if not isinstance(request, HTTPRequest):
        request, keywords = HTTPRequest(request, **keywords), {}
    span = None if keywords else _begin(request)
    if span is None:
        return _future(original(client, request, raise_error, **keywords))
    try:
        future = _future(original(client, request, raise_error))
    except BaseException as error:
        _failed(span, error)
        raise
    future.add_done_callback(lambda done: _done(span, done))
    return future


def _future(found: Any) -> Future[HTTPResponse]:
    future: Future[HTTPResponse] = found
    return future


@_patch.guarded
def _begin(request: Any) -> Span | None:
    # The client follows a redirect by fetching a copy of the request that knows the first one; it does so outside the
    # context of the call, so the header alone would not tell.
    if getattr(request, "original_request", None) is not None:
        return None
    headers = HTTPHeaders(request.headers)
    if _http.is_part_of_call(headers.get(XRAY)):
        return None
    span = _http.start_client(request.method, request.url)
    request.headers = _http.with_trace(headers, span)  # `fetch` replaces them by a copy too
    return span


@_patch.guarded
def _done(span: Span, future: Future[HTTPResponse]) -> None:
    if future.cancelled():
        span.end()
        return
    # `exception()` would count as somebody having looked at it, and silence the loop about an error nobody handled.
    error: BaseException | None = future._exception  # noqa: SLF001
    if error is not None:
        _failed(span, error)
    else:
        response = future.result()
        _http.end_client(span, response.code, response.headers.get("Content-Length"))


@_patch.guarded
def _failed(span: Span, error: BaseException) -> None:
    if isinstance(error, HTTPClientError) and error.code != _NO_ANSWER:
        length = None if error.response is None else error.response.headers.get("Content-Length")
        _http.end_client(span, error.code, length)
    else:
        _http.fail_client(span, error)
