"""Serve one request or websocket in a segment, for frameworks that speak HTTP themselves: aiohttp, Tornado, Sanic.

These keep one task, or one callback's context, for all requests of a connection. So what was current before a request
is restored after it, whatever the request left open.
"""

from __future__ import annotations

from collections.abc import Callable

from fluoro.context import current_node
from fluoro.instrument import _http
from fluoro.instrument._patch import guarded


class Exchange:
    """One request being served, from its headers to the last byte of the answer, or to the end of a websocket.

    Whoever matches a route writes its template to `route`. Who turns an exception into an answer writes it to `raised`:
    the cause, if that answer is a 5xx.
    """

    __slots__ = ("_method", "_outside", "raised", "route", "span", "websocket")

    def __init__(self, method: str, url: str, get: Callable[[str], str | None], peer: str) -> None:
        self._method = method
        self._outside = current_node.get()
        self.raised: BaseException | None = None
        self.route = ""
        self.websocket = False
        self.span = _http.server_span(method, url, get, peer)

    @guarded
    def failed(self, error: BaseException | None) -> None:
        """An exception that no answer can tell of any more. That of a cancelled task is no failure."""
        if isinstance(error, Exception):
            self.span.fail(error)

    def fault(self) -> None:
        """The server said that it cannot go on."""
        if self.span.recording:
            self.span.segment.fault = True

    @guarded
    def end(self, status: int, length: object = None) -> None:
        """The answer is complete; what the request does from now on still belongs to it. A second call does nothing.

        `status` is 0 when the client went away before it was answered.
        """
        if self.span.ended:
            return
        raised, self.raised = self.raised, None
        if status >= 500:
            self.failed(raised)
        method = _http.WEBSOCKET if self.websocket else self._method
        _http.record_answer(self.span, method, self.route, status, length)
        _http.end_keeping_current(self.span)

    def left(self) -> None:
        """The application's code has returned or raised: the connection's next request has nothing to do with this."""
        current_node.set(self._outside)

    @property
    def answer(self) -> str | None:
        """The value of `X-Amzn-Trace-Id` in the response; None when the caller did not ask."""
        return _http.answer_header(self.span)
