"""Serve one WSGI request in a segment: from the call of the application until the server closes the response body.

Whoever is outermost opens the segment: the server (`wsgi`), `fluoro.wsgi`, a framework's application object, or an ASGI
application that has a WSGI one inside. What lies inside adds what it knows with `note_route` and `note_raised`; the
innermost does so last and counts.

The segment is current while the application runs, and again each time the server asks for a chunk of the body or
closes it; in between it is not, so a server that keeps the thread for the next request carries nothing over.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from fluoro import propagation
from fluoro.context import current_node
from fluoro.instrument import _http, _patch
from fluoro.instrument._patch import guarded
from fluoro.recorder import Span, recorder

_KEY = "fluoro.request"
_END: Any = object()
_current = current_node.get
_set_current = current_node.set
_NAMES = _http.HeaderNames(
    ("HTTP_X_AMZN_TRACE_ID", "HTTP_TRACEPARENT", "HTTP_TRACESTATE"),
    "HTTP_HOST",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_USER_AGENT",
)


def serve(
    original: Callable[..., Iterable[bytes]], app: Any, environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """`original(app, environ, start_response)` in a segment; a wrapper for `_patch.wrap(framework, "__call__", …)`."""
    served = begin(environ, start_response)
    if served is None:
        try:
            return original(app, environ, start_response)
        except Exception as error:  # what is around this application may answer it
            note_raised(environ, error)
            raise
    try:
        body = original(app, environ, start_response if served.quiet else served.start_response)
    except BaseException as error:
        served.failed(error)
        raise
    return served.returned(body) or body


def traced(application: Any) -> Any:
    """What a server shall call in the place of `application`: the same to look at, and each call served in a segment."""
    return _patch.wrapped(application, serve_application)


def serve_application(application: Any, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """`application(environ, start_response)` in a segment; as it is when tracing was switched off meanwhile."""
    if recorder.sink is None:
        return application(environ, start_response)  # type: ignore[no-any-return]
    return serve(_call, application, environ, start_response)


def _call(application: Any, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return application(environ, start_response)  # type: ignore[no-any-return]


@guarded
def begin(environ: dict[str, Any], start_response: Callable[..., Any]) -> Request | None:
    """Begin to serve; None when a WSGI application or server around this one does so already."""
    return None if _KEY in environ else Request(environ, start_response)


def note_route(environ: dict[str, Any], template: str) -> None:
    """A route matched: `template` without the prefix that the application is mounted at."""
    served = environ.get(_KEY)
    if served is not None:
        mounted_at = environ.get("SCRIPT_NAME")
        _http.note_route(served.span, mounted_at.rstrip("/") + template if mounted_at else template)


def note_raised(environ: dict[str, Any], error: BaseException) -> None:
    """Somebody turns `error` into an answer: it is the cause, if that is a 5xx."""
    served = environ.get(_KEY)
    if served is not None:
        served.raised = error


@lru_cache(maxsize=256)
def _status_code(status: str) -> int:
    return int(status[:3])


class Request:
    """One request being served by whoever called `begin`.

    Inside an ASGI application that is served already it only adds to that one's segment.
    """

    __slots__ = ("_environ", "_inner", "_length", "_outside", "_start_response", "_status", "quiet", "raised", "span")

    def __init__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
        self._environ = environ
        self._start_response = start_response
        self._status = 0
        self._length: str | None = None
        self.raised: BaseException | None = None
        self._outside = outside = _current()
        around = None if outside is None else _http.serving(outside)
        self._inner = around is not None
        self.span: Span = around or _http.server_span(
            environ["REQUEST_METHOD"], _url(environ), environ.get, environ.get("REMOTE_ADDR") or "", _NAMES
        )
        self.quiet = not self._inner and _http.is_quiet(self.span)
        environ[_KEY] = self

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """What the application is given for the server's `start_response`."""
        headers = self._note_start(status, headers, exc_info) or headers
        if exc_info is None:
            return self._start_response(status, headers)
        return self._start_response(status, headers, exc_info)

    @guarded
    def _note_start(self, status: str, headers: list[tuple[str, str]], exc_info: Any) -> list[tuple[str, str]] | None:
        self._status = _status_code(status)
        if exc_info is not None and isinstance(exc_info[1], Exception):
            self.raised = exc_info[1]
        self._length = _http.first_value(headers, "content-length")
        if self._inner or not self.span.trace.asked:
            return None
        answer = _http.answer_header(self.span)
        return None if answer is None else [*headers, (propagation.XRAY, answer)]

    @guarded
    def returned(self, body: Iterable[bytes]) -> Iterable[bytes] | None:
        """The application returned. What the server shall iterate, or None: `body` as it is.

        A body that is complete already, or that the server may send by `sendfile`, is not wrapped.
        """
        inside = _current()
        _set_current(self._outside)
        if body.__class__ in (list, tuple) or not hasattr(body, "__iter__") or self._is_file(body):
            self.end()
            return None
        return _Body(self, body, inside)

    def _is_file(self, body: Iterable[bytes]) -> bool:
        """Whether the server knows a faster way to send it. uWSGI's file wrapper is a function that returns the file."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type):
            return isinstance(body, wrapper)
        return wrapper is not None and hasattr(body, "read")

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
        if self._environ.get(_KEY) is self:
            del self._environ[_KEY]
        span = self.span
        if span.ended:
            return
        raised, self.raised = self.raised, None
        if raised is not None and self._status >= 500:
            span.fail(raised)
        if not self._inner:
            _http.record_answer(span, self._environ["REQUEST_METHOD"], "", self._status, self._length)
            span.end()


class _Body:
    """The response body as the server sees it. `close` ends the segment; PEP 3333 makes every server call it."""

    __slots__ = ("_body", "_closed", "_inside", "_request")

    def __init__(self, request: Request, body: Iterable[bytes], inside: Any) -> None:
        self._closed = False
        self._request = request
        self._body = body
        self._inside = inside  # what was current in the application when it last gave control away

    def __iter__(self) -> Iterator[bytes]:
        iterator: Iterator[bytes] | None = None
        while True:
            outside = _current()
            try:
                _set_current(self._inside)
                if iterator is None:
                    iterator = iter(self._body)
                chunk = next(iterator, _END)
            except Exception as error:
                self._request.span.fail(error)
                raise
            finally:
                try:
                    self._inside = _current()
                finally:
                    _set_current(outside)
            if chunk is _END:
                return
            yield chunk

    def close(self) -> None:
        outside = _current()
        try:
            _set_current(self._inside)
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            try:
                self._request.end()
                self._closed = True
            finally:
                _set_current(outside)

    def __del__(self) -> None:
        """A server may drop the body without `close` after all: werkzeug's does when its client resets the connection."""
        if not self._closed and not sys.is_finalizing():
            self._request.end()


def _url(environ: dict[str, Any]) -> str:
    get = environ.get
    host = get("HTTP_HOST") or f"{get('SERVER_NAME', '')}:{get('SERVER_PORT', '')}"
    path: str = get("PATH_INFO", "")
    mounted_at = get("SCRIPT_NAME")
    if mounted_at:
        path = mounted_at + path
    if not path.isascii():  # WSGI decodes the bytes as latin-1
        path = quote(path.encode("latin-1", "replace"))
    return f"{get('wsgi.url_scheme', 'http')}://{host}{path}"
