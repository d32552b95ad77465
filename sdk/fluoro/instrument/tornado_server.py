r"""Tornado ≥ 6.1: one segment per request that a `RequestHandler` serves, until it is finished.

The operation is the regular expression of the rule, made readable: `/orders/(?P<id>\d+)` is "/orders/{id}", a group
without a name "{var}". An exception is the cause where Tornado turns it into a 5xx; an `HTTPError` is an answer. A websocket
is one segment per connection, "WS /route", which is sent when the connection is over. A handler that answers after its
method has returned (`_auto_finish = False`) is covered, also when its client does not wait for that.

Gaps: what is served without a `RequestHandler` (a bare `HTTPServer` callback) is not seen; a handler reached by other
matchers than paths is "unmatched"; in handlers that take their body as a stream, work in `data_received` is not below
the request.
"""

from __future__ import annotations

import sys
from asyncio import CancelledError
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.routing import PathMatches, RuleRouter
from tornado.web import ErrorHandler, Finish, HTTPError, RequestHandler

from fluoro import propagation
from fluoro.instrument import _http, _patch, _regex_route
from fluoro.instrument._exchange import Exchange

_EXCHANGE = "_fluoro_exchange"  # attribute of a handler
_ROUTE = "_fluoro_route"  # attribute of a request


def patch(module: ModuleType) -> None:
    if module.__name__ == "tornado.websocket":
        _patch.around(module.WebSocketProtocol, "_abort", _note_abort, _nothing)
        _patch.around(module.WebSocketHandler, "close", _note_close, _nothing)
        return
    _patch.wrap(module.RequestHandler, "_execute", _execute)
    _patch.around(module.RequestHandler, "_handle_request_exception", _note_exception, _nothing)
    _patch.around(module.RequestHandler, "flush", _note_flush, _nothing)
    _patch.around(module.RequestHandler, "_log", _note_finished, _nothing)
    _patch.around(RuleRouter, "get_target_delegate", _note_route, _nothing)
    _patch.around(module._ApplicationRouter, "get_target_delegate", _note_route, _nothing)  # noqa: SLF001


async def _execute(original: Callable[..., Any], handler: RequestHandler, *args: Any, **kwargs: Any) -> None:
    served = _begin(handler)
    if served is None:
        await original(handler, *args, **kwargs)
        return
    try:
        await original(handler, *args, **kwargs)
    except BaseException as error:
        served.failed(error)
        raise
    finally:
        _returned(handler, served)


@_patch.guarded
def _begin(handler: RequestHandler) -> Exchange:
    request = handler.request
    url = f"{request.protocol}://{request.host}{request.path}"
    served = Exchange(request.method or "", url, request.headers.get, request.remote_ip or "")
    if not isinstance(handler, ErrorHandler):
        served.route = getattr(request, _ROUTE, "")
    setattr(handler, _EXCHANGE, served)
    return served


@_patch.guarded
def _returned(handler: RequestHandler, served: Exchange) -> None:
    """Nothing runs any more; the answer may be given, a websocket be closed, or some callback will answer later."""
    if handler._finished:  # noqa: SLF001
        served.end(handler.get_status())
    elif sys.exc_info()[0] is not None or _client_left(handler.request):
        served.end(0)
    else:
        connection: Any = handler.request.connection

        def closed() -> None:
            served.end(0)
            handler.on_connection_close()

        connection.set_close_callback(closed)
    served.left()


def _note_exception(handler: RequestHandler, error: BaseException) -> None:
    served: Exchange | None = getattr(handler, _EXCHANGE, None)
    if served is None or isinstance(error, (Finish, HTTPError, CancelledError)):
        return
    if isinstance(error, StreamClosedError) and _client_left(handler.request):
        return
    if handler._headers_written:  # noqa: SLF001
        served.failed(error)
    else:
        served.raised = error


def _note_flush(handler: RequestHandler, *_: Any, **__: Any) -> None:
    served: Exchange | None = getattr(handler, _EXCHANGE, None)
    if served is not None and not handler._headers_written:  # noqa: SLF001
        answer = served.answer
        if answer is not None:
            handler.set_header(propagation.XRAY, answer)


def _note_finished(handler: RequestHandler) -> None:
    """The answer is complete, but for a websocket, which begins here."""
    served: Exchange | None = getattr(handler, _EXCHANGE, None)
    if served is None:
        return
    status = handler.get_status()
    if status == 101:
        served.websocket = True
    elif status >= 500 and served.raised is None and _client_left(handler.request):
        served.end(0)
    else:
        served.end(status, handler._headers.get("Content-Length"))  # noqa: SLF001


def _note_abort(protocol: Any) -> None:
    """A websocket is torn down; from an `except` block: because of what the handler raised."""
    served: Exchange | None = getattr(protocol.handler, _EXCHANGE, None)
    error = sys.exc_info()[1]
    if served is not None and not isinstance(error, StreamClosedError):
        served.failed(error)


def _note_close(handler: RequestHandler, code: int | None = None, *_: Any, **__: Any) -> None:
    served: Exchange | None = getattr(handler, _EXCHANGE, None)
    if served is not None and code == _http.INTERNAL_ERROR:
        served.fault()


def _note_route(router: RuleRouter, target: Any, request: HTTPServerRequest, **_: Any) -> None:
    """`target` is what a rule of `router` led to; of nested routers the innermost one has the whole path."""
    rules = [rule for rule in router.rules if rule.target is target and isinstance(rule.matcher, PathMatches)]
    if len(rules) > 1:
        rules = [rule for rule in rules if rule.matcher.match(request) is not None]
    matcher: Any = rules[0].matcher if rules else None
    setattr(request, _ROUTE, "" if matcher is None else _regex_route.template(matcher.regex.pattern))


def _client_left(request: HTTPServerRequest) -> bool:
    stream = getattr(request.connection, "stream", None)
    return stream is not None and stream.closed()


def _nothing(*_: Any) -> None:
    """After a call whose `before` has returned None."""
