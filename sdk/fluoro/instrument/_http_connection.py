"""One request on an http.client connection. The buffer that `endheaders` sends is looked at, and gets our headers: it is
where `request()` and the single steps of `putrequest` and `putheader` have come together.
"""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from fluoro import propagation
from fluoro.instrument import _http
from fluoro.instrument._guarded import guarded
from fluoro.instrument.http_client import CALL
from fluoro.recorder import Span

_XRAY = propagation.XRAY.lower().encode() + b":"
_OURS = tuple(
    f"{name.lower()}:".encode() for name in (propagation.XRAY, propagation.TRACEPARENT, propagation.TRACESTATE)
)
_LONGEST = max(len(name) for name in _OURS)
_INITIALS = frozenset(initial for name in _OURS for initial in (name[:1], name[:1].upper()))


class Call:
    """A request that was sent; http.client's patch keeps it with the connection."""

    __slots__ = ("span",)

    def __init__(self, span: Span) -> None:
        self.span = span

    @guarded
    def answered(self, response: HTTPResponse) -> None:
        _http.end_client(self.span, response.status, response.getheader("Content-Length"))

    @guarded
    def failed(self, error: BaseException) -> None:
        _http.fail_client(self.span, error)

    @guarded
    def abandoned(self) -> None:
        self.span.end()


def end_headers(original: Callable[..., Any], connection: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
    """Around `HTTPConnection.endheaders`, which sends the request, connecting first if need be."""
    call = _begin(connection)
    if call is None:
        return original(connection, *args, **kwargs)
    try:
        result = original(connection, *args, **kwargs)
    except BaseException as error:
        call.failed(error)
        raise
    vars(connection)[CALL] = call
    return result


@guarded
def _begin(connection: HTTPConnection) -> Call | None:
    buffer: list[bytes] = connection._buffer  # type: ignore[attr-defined]  # noqa: SLF001  the request is nowhere else
    if not buffer:  # a misuse that http.client will report
        return None
    carried = [line for line in buffer if line[:1] in _INITIALS and line[:_LONGEST].lower().startswith(_OURS)]
    if _http.is_part_of_call(_trace_header(carried)):
        return None
    method, _, rest = buffer[0].decode("latin-1").partition(" ")
    span = _http.start_client(method, _url(connection, rest.rpartition(" ")[0]))
    for line in carried:
        buffer.remove(line)
    for name, value in _http.outgoing_headers(span).items():
        buffer.append(f"{name}: {value}".encode("latin-1"))
    return Call(span)


def _trace_header(carried: list[bytes]) -> str | None:
    for line in carried:
        if line[: len(_XRAY)].lower() == _XRAY:
            return line[len(_XRAY) :].strip().decode("latin-1")
    return None


def _url(connection: HTTPConnection, path: str) -> str:
    """`path` is what the request line asks for: a whole URL when it goes to a proxy that is no tunnel."""
    if not path.startswith("/") and "://" in path:
        return path
    host, port = connection.host, connection.port
    tunnel: str | None = connection._tunnel_host  # type: ignore[attr-defined]  # noqa: SLF001  set by `set_tunnel`
    if tunnel:
        host, port = tunnel, connection._tunnel_port  # type: ignore[attr-defined]  # noqa: SLF001
    scheme = "https" if connection.default_port == 443 else "http"
    return _http.url_of(scheme, host, port, path if path.startswith("/") else "")
