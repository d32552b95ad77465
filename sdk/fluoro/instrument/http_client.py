"""http.client: one span per request, from its headers being sent until `getresponse` returns or raises.

It is not current in between, so a program may have several connections under way in one thread. A request through a
proxy's tunnel is named after the host behind it; the CONNECT itself is no span. What a library above (urllib, urllib3,
requests, botocore) has made a span for gets none here. A connection that is closed before `getresponse` ends the span,
without a status. Reading the body is not in it.

This file is loaded by every traced process that imports http.client, `_http_connection` with its first request.

Gap: a request that is neither answered nor closed, only forgotten, is not recorded.
"""

from __future__ import annotations

from fluoro.instrument._first_use import wrap_at_first_use
from fluoro.instrument._replaced import wrap_plain

TYPE_CHECKING = False  # see above
if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPConnection
    from types import ModuleType
    from typing import Any

CALL = "_fluoro_call"  # in a connection's own namespace while a request waits for `getresponse`


def patch(module: ModuleType) -> None:
    connection = module.HTTPConnection
    wrap_at_first_use(connection, "endheaders", "fluoro.instrument._http_connection", "end_headers")
    wrap_plain(connection, "getresponse", _get_response)
    wrap_plain(connection, "close", _close)


def _get_response(original: Callable[..., Any], connection: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
    call = vars(connection).pop(CALL, None)
    if call is None:
        return original(connection, *args, **kwargs)
    try:
        response = original(connection, *args, **kwargs)
    except BaseException as error:
        call.failed(error)
        raise
    call.answered(response)
    return response


def _close(original: Callable[..., Any], connection: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
    call = vars(connection).pop(CALL, None)
    if call is not None:
        call.abandoned()
    return original(connection, *args, **kwargs)
