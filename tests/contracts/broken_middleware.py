"""ASGI middleware that raises when it is asked to, for `async_server`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class BrokenMiddleware:
    """Raises ZeroDivisionError for requests with the header X-Broken."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if b"x-broken" in dict(scope.get("headers", ())):
            raise ZeroDivisionError
        await self.app(scope, receive, send)
