"""One call of `urllib.request.OpenerDirector.open`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import OpenerDirector, Request

from fluoro.instrument import _http
from fluoro.instrument._guarded import guarded
from fluoro.propagation import TRACEPARENT, TRACESTATE, XRAY
from fluoro.recorder import Span

_NAMES = tuple(name.capitalize() for name in (XRAY, TRACEPARENT, TRACESTATE))  # as a Request spells them


def open_url(
    original: Callable[..., Any],
    opener: OpenerDirector,
    fullurl: str | Request,
    data: Any = None,
    *args: Any,
    **kw: Any,
) -> Any:
    """Around `open`. A URL becomes a Request here, as it does there, so that it can carry headers."""
    request = _request(fullurl, data)
    span = None if request is None else _begin(request, data)
    if span is None:
        return original(opener, fullurl, data, *args, **kw)
    try:
        response = original(opener, request, data, *args, **kw)
    except BaseException as error:
        _failed(span, error)
        raise
    _answered(span, response)
    return response


def _request(fullurl: Any, data: Any) -> Request | None:
    """None for other schemes, and for what urllib will refuse."""
    if isinstance(fullurl, str):
        if not fullurl[:6].lower().startswith(("http:", "https:")):
            return None
        try:
            return Request(fullurl, data)  # noqa: S310  the scheme is tested above, and the URL is the application's
        except ValueError:
            return None
    return fullurl if isinstance(fullurl, Request) and fullurl.type in ("http", "https") else None


@guarded
def _begin(request: Request, data: Any) -> Span | None:
    if _http.is_part_of_call(request.get_header(_NAMES[0])):
        return None
    # Data given to `open` makes it a POST, and is not in a Request of the caller's yet.
    method = "POST" if data is not None and request.get_method() == "GET" else request.get_method()
    span = _http.begin_client(method, request.full_url)
    for name in _NAMES:
        request.remove_header(name)
    for name, value in _http.outgoing_headers(span).items():
        request.add_header(name, value)
    return span


@guarded
def _answered(span: Span, response: Any) -> None:
    _http.end_client(span, getattr(response, "status", None) or 0, response.headers.get("Content-Length"))


@guarded
def _failed(span: Span, error: BaseException) -> None:
    if isinstance(error, HTTPError):
        _http.end_client(span, error.code, error.headers.get("Content-Length"))
    else:
        _http.fail_client(span, error)
