"""Serve one WSGI request in a segment: from the call of the application until the server closes the response body.

The segment is current while the application runs, and again each time the server asks for a chunk of the body or
closes it; in between it is not, so a server that keeps the thread for the next request carries nothing over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from fluoro import propagation
from fluoro.context import current_node
from fluoro.instrument import _http
from fluoro.instrument._patch import guarded
from fluoro.recorder import Span

_KEY = "fluoro.request"
_current = current_node.get
_set_current = current_node.set
_KEYS = {  # the headers that every request is asked for, as WSGI spells them
    propagation.XRAY: "HTTP_X_AMZN_TRACE_ID",
    propagation.TRACEPARENT: "HTTP_TRACEPARENT",
    propagation.TRACESTATE: "HTTP_TRACESTATE",
    "X-Forwarded-For": "HTTP_X_FORWARDED_FOR",
    "User-Agent": "HTTP_USER_AGENT",
}


class Request:
    """One request being served. `route(environ)` is asked for the route's template when the response starts, or by
    `note_route`; frameworks forget the route before the application returns.
    """

    __slots__ = ("_length", "_matched", "_outside", "_route", "_start_response", "_status", "environ", "span")

    def __init__(
        self, environ: dict[str, Any], start_response: Callable[..., Any], route: Callable[[dict[str, Any]], str]
    ) -> None:
        self.environ = environ
        self._start_response = start_response
        self._route = route
        self._matched = ""
        self._status = 0
        self._length: str | None = None
        self._outside = _current()
        self.span: Span = _http.server_span(
            environ["REQUEST_METHOD"], _url(environ), self._header, environ.get("REMOTE_ADDR") or ""
        )
        environ[_KEY] = self

    def _header(self, name: str) -> str | None:
        key = _KEYS.get(name)
        return self.environ.get(key or "HTTP_" + name.upper().replace("-", "_"))

    def start_response(self, status: str, headers: list[tuple[str, str]], *exc_info: Any, **keywords: Any) -> Any:
        """What the application is given for the server's `start_response`."""
        return self._start_response(status, self._note_start(status, headers) or headers, *exc_info, **keywords)

    @guarded
    def _note_start(self, status: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]] | None:
        self._status = int(status[:3])
        self._matched = self._route(self.environ) or self._matched
        self._length = _http.first_value(headers, "content-length")
        answer = _http.answer_header(self.span)
        return None if answer is None else [*headers, (propagation.XRAY, answer)]

    @guarded
    def note_route(self) -> None:
        self._matched = self._route(self.environ) or self._matched

    @guarded
    def returned(self, body: Iterable[bytes]) -> Iterable[bytes] | None:
        """The application returned. What the server shall iterate, or None: `body` as it is.

        A body that is complete already, or that the server may send by `sendfile`, is not wrapped.
        """
        inside = _current()
        _set_current(self._outside)
        wrapper = self.environ.get("wsgi.file_wrapper")
        if (
            body.__class__ in (list, tuple)
            or not hasattr(body, "__iter__")
            or (isinstance(wrapper, type) and isinstance(body, wrapper))
        ):
            self.end()
            return None
        return _Body(self, body, inside)

    @guarded
    def failed(self, error: BaseException) -> None:
        """The application raised: the server answers 500."""
        if isinstance(error, Exception):
            self.span.fail(error)
            self._status = self._status or 500
        self.end()
        _set_current(self._outside)

    @guarded
    def end(self) -> None:
        if not self.span.ended:
            method = self.environ["REQUEST_METHOD"]
            _http.record_answer(self.span, method, self._matched, self._status, self._length)
            self.span.end()
        self.environ.pop(_KEY, None)


class _Body:
    """The response body as the server sees it. `close` ends the segment; PEP 3333 makes every server call it."""

    __slots__ = ("_body", "_inside", "_iterator", "_request")

    def __init__(self, request: Request, body: Iterable[bytes], inside: Any) -> None:
        self._request = request
        self._body = body
        self._iterator: Iterator[bytes] | None = None
        self._inside = inside  # what was current in the application when it last gave control away

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        outside = _current()
        _set_current(self._inside)
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return next(self._iterator)
        except StopIteration:
            raise
        except Exception as error:
            self._request.span.fail(error)
            raise
        finally:
            self._inside = _current()
            _set_current(outside)

    def close(self) -> None:
        outside = _current()
        _set_current(self._inside)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._request.end()
            _set_current(outside)


@guarded
def begin(
    environ: dict[str, Any], start_response: Callable[..., Any], route: Callable[[dict[str, Any]], str]
) -> Request | None:
    """Begin to serve; None when an application around this one does so already (a mounted one)."""
    return None if _KEY in environ else Request(environ, start_response, route)


def request_of(environ: dict[str, Any]) -> Request | None:
    """The request that `environ` belongs to, while it is served."""
    return environ.get(_KEY)


def _url(environ: dict[str, Any]) -> str:
    host = environ.get("HTTP_HOST")
    scheme = environ.get("wsgi.url_scheme", "http")
    if not host:
        host = f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    if not path.isascii():  # WSGI decodes the bytes as latin-1
        path = quote(path.encode("latin-1", "replace"))
    return f"{scheme}://{host}{path}"
