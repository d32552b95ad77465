"""What the dashboard's routes share: JSON answers, errors, and reading typed query parameters."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fluoro_collector.ingest import what
from fluoro_collector.query.expert.sql import SqlError
from fluoro_collector.query.filter import tree
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.filter.groups import Groups
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.query.graph.service_graph import NodeKey, parse_node_id
from fluoro_collector.query.search.cursor import CursorError
from fluoro_collector.query.sets.top_values import FacetError
from fluoro_collector.store.engine import StoreBusy, StoreError

from .openapi import query_parameters
from .readers import MAX_SECONDS, is_timeout

log = logging.getLogger(__name__)

JSON = "application/json"
MAX_RANGE_S = 92 * 86_400  # a query over more time is answered 400
MAX_POINTS = 10_000  # of a time series
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
            _refuse_unknown(request)
            return await handler(request)
        except BadRequest as bad:
            return error(400, "bad_request", str(bad))
        except SqlError as bad:
            return error(400, "bad_sql", str(bad))
        except FacetError as bad:
            return error(400, "bad_request", str(bad))
        except CursorError as bad:
            return error(400, "bad_cursor", str(bad))
        except FilterError as bad:
            more: dict[str, Any] = {"position": bad.position, "expected": list(bad.expected)}
            if bad.nearest:
                more["nearest"] = bad.nearest
            return error(400, "bad_filter", str(bad), **more)
        except StoreBusy as busy:
            log.warning("%s: the store is busy: %s", request.scope["route"].path, what(busy))
            if is_timeout(busy):
                return error(503, "too_slow", f"the answer took over {MAX_SECONDS} s; ask for a shorter range")
            return error(503, "store_busy", "the store cannot answer now; try again")
        except StoreError as failure:
            log.error("%s: the store failed: %s", request.scope["route"].path, what(failure))  # noqa: TRY400 - see `what`
            return error(503, "store_failed", "the store could not answer; the collector's log says why")

    return guard


def _refuse_unknown(request: Request) -> None:
    """A parameter that the route does not have, or has once, is a mistake: ignoring `fliter=` would answer another question."""
    known = query_parameters(request.scope["route"].path)
    for name in request.query_params:
        if name not in known:
            near = get_close_matches(name, known, 1)
            there = f"this route has {', '.join(known)}" if known else "this route has none"
            raise BadRequest(
                f"there is no parameter {name[:100]!r}{f', did you mean {near[0]}?' if near else ''}; {there}"
            )
        if not known[name] and len(request.query_params.getlist(name)) > 1:
            raise BadRequest(f"{name} is given more than once")


def time_range(request: Request, prefix: str = "") -> tuple[float, float]:
    """`start` and `end`, epoch seconds, start < end; with a prefix `base_start` and `base_end`."""
    start, end = seconds(request, f"{prefix}start"), seconds(request, f"{prefix}end")
    if not start < end:
        raise BadRequest(f"{prefix}end must be later than {prefix}start")
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
        if not text:
            raise BadRequest(f"{name} is missing; it is a time in epoch seconds, as `date +%s` prints")
        unit = "; that looks like milliseconds" if 0 <= value / 1000 <= LATEST else ""
        raise BadRequest(f"{name} must be a time in epoch seconds, got {text[:100]!r}{unit}")
    return value


def whole(request: Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 12 or not low <= int(text) <= high:
        raise BadRequest(f"{name} must be a whole number from {low} to {high}, got {text!r}")
    return int(text)


def one_of(request: Request, name: str, choices: Sequence[str]) -> str:
    """The first is the default."""
    text = request.query_params.get(name, "") or choices[0]
    if text not in choices:
        raise BadRequest(f"{name} must be one of {', '.join(choices)}, got {text!r}")
    return text


def period(request: Request, start: float, end: float, step: int) -> int:
    """`period` in seconds, a multiple of `step`, with at most MAX_POINTS of them in the range."""
    found = whole(request, "period", 60, step, 86_400)
    if found % step:
        raise BadRequest(f"period must be a multiple of {step} seconds")
    if (end - start) / found > MAX_POINTS:
        raise BadRequest(f"that would be more than {MAX_POINTS} points; ask for a longer period")
    return found


def node(request: Request) -> NodeKey | None:
    """`node`, an id of the service graph, as (name, type)."""
    text = request.query_params.get("node", "")
    found = parse_node_id(text) if text else None
    if text and found is None:
        raise BadRequest('node must be an id from the service graph, "name|type"')
    return found


def edge(request: Request) -> tuple[NodeKey, NodeKey] | None:
    """`edge`, an id of the service graph, as its two nodes. A name may hold "->": the first that parts two ids counts."""
    text = request.query_params.get("edge", "")
    if not text:
        return None
    at = text.find("->")
    while at >= 0:
        source, target = parse_node_id(text[:at]), parse_node_id(text[at + 2 :])
        if source is not None and target is not None:
            return source, target
        at = text.find("->", at + 1)
    raise BadRequest('edge must be an id from the service graph, "name|type->name|type"')


def filter_text(request: Request, groups: Groups, name: str = "filter") -> str:
    """`filter` (or another parameter) and `group` as one expression; call it where the store may be asked.

    Raises FilterError with positions in the parameter's text.
    """
    text = request.query_params.get(name, "")
    if text.strip():
        parse(text)
    group = request.query_params.get("group", "")
    if not group or name != "filter":
        return text
    if groups("name", group) is None:
        raise BadRequest(f"there is no group {group!r}; /api/groups lists them")
    term = str(tree.Group("name", group))
    return f"{term} AND ({text})" if text.strip() else term
