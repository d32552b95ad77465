"""What the dashboard's routes share: JSON answers, errors, and reading typed query parameters."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fluoro_collector.ingest import what
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.traces import CursorError
from fluoro_collector.store.engine import StoreBusy, StoreError

from .readers import MAX_SECONDS, is_timeout

log = logging.getLogger(__name__)

JSON = "application/json"
MAX_RANGE_S = 92 * 86_400  # a query over more time is answered 400
LATEST = float((1 << 32) - 7200)  # epoch seconds; minutes are stored as 32 bits


class BadRequest(Exception):
    """`message` names the parameter and a value that works."""


def answer(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=JSON)


def error(status: int, code: str, message: str, **more: Any) -> Response:
    return answer({"error": {"code": code, "message": message, **more}}, status)


def guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """`handler` with its errors in the API's form: 400, 503 (the store is busy or broken)."""

    async def guard(request: Request) -> Response:
        try:
            return await handler(request)
        except BadRequest as bad:
            return error(400, "bad_request", str(bad))
        except CursorError as bad:
            return error(400, "bad_cursor", str(bad))
        except FilterError as bad:
            return error(400, "bad_filter", str(bad), position=bad.position, expected=list(bad.expected))
        except StoreBusy as busy:
            log.warning("%s: the store is busy: %s", request.scope["route"].path, what(busy))
            if is_timeout(busy):
                return error(503, "too_slow", f"the answer took over {MAX_SECONDS} s; ask for a shorter range")
            return error(503, "store_busy", "the store cannot answer now; try again")
        except StoreError as failure:
            log.error("%s: the store failed: %s", request.scope["route"].path, what(failure))  # noqa: TRY400 - see `what`
            return error(503, "store_failed", "the store could not answer; the collector's log says why")

    return guard


def time_range(request: Request) -> tuple[float, float]:
    """`start` and `end`, epoch seconds, start < end."""
    start, end = seconds(request, "start"), seconds(request, "end")
    if not start < end:
        raise BadRequest("end must be later than start")
    if end - start > MAX_RANGE_S:
        raise BadRequest(f"the range is over {MAX_RANGE_S // 86_400} days")
    return start, end


def seconds(request: Request, name: str) -> float:
    text = request.query_params.get(name, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LATEST:
        raise BadRequest(f"{name} must be a time in epoch seconds, got {text!r}")
    return value


def whole(request: Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 12 or not low <= int(text) <= high:
        raise BadRequest(f"{name} must be a whole number from {low} to {high}, got {text!r}")
    return int(text)
