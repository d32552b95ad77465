"""ASGI middleware: web pages may not use the collector through the browser of somebody who opens them.

Two ways are closed. A page can send a request anywhere and not read the answer: its `Origin` (or `Sec-Fetch-Site`) says so.
A page whose own name is made to resolve to this machine (DNS rebinding) is of the same origin and could read: then the
`Host` is the attacker's name, and no name of a collector that listens on loopback only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

# Origins on this machine. Also what the doors for spans answer to with CORS headers.
LOCAL_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
_LOCAL_ORIGIN = re.compile(LOCAL_ORIGIN)
# Names without a dot (containers of one compose file), and what ends in a name reserved for private use, cannot be bought.
_PRIVATE = (".localhost", ".internal")


class Browsers:
    """Answers 403 to what a foreign page asks.

    `hosts` are further names that a Host header may hold (those under which a proxy is reached); None allows every name,
    for a collector that listens on more than loopback and cannot know its names.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None = ()) -> None:
        self._app = app
        self._hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (why := self._refuses(Headers(scope=scope))):
            body = msgspec.json.encode({"error": {"code": "Forbidden", "message": why}})
            await Response(body, 403, media_type="application/json")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refuses(self, headers: Headers) -> str:
        """Why this request is refused, "" if it is not."""
        host = headers.get("host", "")
        if self._hosts is not None and not (_is_private(_name(host)) or _name(host) in self._hosts):
            return "this Host is not a name of this collector; --allowed-hosts adds the name a proxy is reached under"
        origin = headers.get("origin")
        if origin is not None:
            own = urlsplit(origin).netloc.lower() == host.lower() if origin.count("://") == 1 else False
            return "" if own or _LOCAL_ORIGIN.fullmatch(origin) else "pages of this origin may not use this collector"
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return "pages of other sites may not use this collector"
        return ""


def _name(host: str) -> str:
    """The host of `host[:port]`, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def _is_private(name: str) -> bool:
    """Whether no stranger can make `name` point here: an address, a name without a dot, or no name at all."""
    name = name.rstrip(".")
    if "." not in name and ":" not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.endswith(_PRIVATE)
    return True
