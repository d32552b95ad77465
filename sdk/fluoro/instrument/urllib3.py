"""urllib3 ≥ 1.24: one span per logical call, `PoolManager.urlopen` or a pool's own `urlopen`, whichever is outermost.

Redirects and retries (`Retry`) belong to the same span, which is named after the host that was asked first and has the
last answer's status. How often it was retried is in its metadata, `http.retries`; below requests or another library that
is traced, in that library's span. With `preload_content=False` the span ends when the headers are there, otherwise the
time of the body is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fluoro.instrument import _http, _patch
from fluoro.propagation import XRAY
from fluoro.recorder import Span, recorder


def patch(module: ModuleType) -> None:
    _patch.wrap(module.PoolManager, "urlopen", _manager_urlopen)
    _patch.wrap(module.HTTPConnectionPool, "urlopen", _pool_urlopen)


def _manager_urlopen(
    original: Callable[..., Any], manager: Any, method: str, url: str, *args: Any, **keywords: Any
) -> Any:
    headers = keywords.get("headers", manager.headers)
    span = _begin(method, url, headers)
    if span is None:
        return original(manager, method, url, *args, **keywords)
    keywords["headers"] = _http.with_trace(headers, span)
    return _traced(span, original, manager, method, url, *args, **keywords)


def _pool_urlopen(
    original: Callable[..., Any],
    pool: Any,
    method: str,
    url: str,
    body: Any = None,
    headers: Any = None,
    *args: Any,
    **keywords: Any,
) -> Any:
    sent = pool.headers if headers is None else headers
    span = _begin(method, url, sent, pool)
    if span is None:
        _note_retries(args[0] if args else keywords.get("retries"))
        return original(pool, method, url, body, headers, *args, **keywords)
    return _traced(span, original, pool, method, url, body, _http.with_trace(sent, span), *args, **keywords)


def _traced(span: Span, original: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    try:
        response = original(*args, **keywords)
    except BaseException as error:
        _failed(span, error)
        raise
    _answered(span, response)
    return response


@_patch.guarded
def _begin(method: str, url: str, headers: Any, pool: Any = None) -> Span | None:
    if _http.is_part_of_call(headers.get(XRAY) if headers else None):
        return None
    if pool is not None and "://" not in url.partition("?")[0]:
        url = _http.url_of(pool.scheme, pool.host, pool.port, url)
    return _http.begin_client(method, url if "://" in url else f"http://{url}")


@_patch.guarded
def _note_retries(retries: Any) -> None:
    """urllib3 tries again by calling itself with a `Retry` that holds what happened so far, redirects among it."""
    count = sum(entry.redirect_location is None for entry in getattr(retries, "history", None) or ())
    span = recorder.current() if count else None
    if span is not None:
        span.metadata("retries", count, "http")


@_patch.guarded
def _answered(span: Span, response: Any) -> None:
    _http.end_client(span, response.status, response.headers.get("Content-Length"))


@_patch.guarded
def _failed(span: Span, error: BaseException) -> None:
    _http.fail_client(span, error)
