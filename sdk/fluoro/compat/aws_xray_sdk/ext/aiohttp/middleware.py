"""`web.Application(middlewares=[middleware])`: aiohttp's server by fluoro's instrumentation, switched on by this import
if it is not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from fluoro.compat.aws_xray_sdk.core.patcher import enable
from fluoro.compat.aws_xray_sdk.ext._answer import tell_trace

enable(["aiohttp"], "aiohttp.web_protocol")


@web.middleware
async def middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """One segment a request, and the trace in the response's headers."""
    try:
        response = await handler(request)
    except web.HTTPException as answer:
        tell_trace(answer.headers)
        raise
    if not response.prepared:
        tell_trace(response.headers)
    return response
