"""GET /api/…: the questions the dashboard asks. Times are epoch seconds, durations seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fluoro_collector.query import service_graph as graphs
from fluoro_collector.query import status as statuses
from fluoro_collector.query import time_series as series
from fluoro_collector.query import trace as trees
from fluoro_collector.query import traces as searches
from fluoro_collector.query.ids import parse_trace_id
from fluoro_collector.state import State

from .answers import BadRequest, answer, error, guarded, time_range, whole
from .openapi import document
from .readers import Readers, TimedEngine

P = ParamSpec("P")

MAX_POINTS = 10_000
MAX_LIMIT = 1000


def routes(state: State, readers: Readers) -> list[BaseRoute]:
    engine, dirty = TimedEngine(state.store.engine), state.rollup.dirty

    async def ask(request: Request, question: Callable[P, Any], *arguments: P.args, **named: P.kwargs) -> Response:
        """The answer to `question`; 404 for None. Encoded in the thread too: a large one must not hold up the loop."""

        def respond() -> Response:
            found = question(*arguments, **named)
            return error(404, "not_found", "no such trace is stored") if found is None else answer(found)

        return await readers.run(request, respond)

    async def service_graph(request: Request) -> Response:
        return await ask(request, graphs.service_graph, engine, dirty, *time_range(request))

    async def time_series(request: Request) -> Response:
        start, end = time_range(request)
        period = whole(request, "period", 60, 60, 86_400)
        if period % 60:
            raise BadRequest("period must be a multiple of 60 seconds")
        if (end - start) / period > MAX_POINTS:
            raise BadRequest(f"that would be more than {MAX_POINTS} points; ask for a longer period")
        node = None
        if text := request.query_params.get("node", ""):
            node = graphs.parse_node_id(text)
            if node is None:
                raise BadRequest('node must be an id from the service graph, "name|type"')
        return await ask(request, series.time_series, engine, dirty, start, end, period, node)

    async def traces(request: Request) -> Response:
        start, end = time_range(request)
        limit = whole(request, "limit", 50, 1, MAX_LIMIT)
        text = request.query_params.get("cursor", "")
        cursor = searches.parse_cursor(text) if text else None
        wanted = request.query_params.get("filter", "")
        return await ask(request, searches.traces, engine, start, end, wanted, limit, cursor)

    async def trace(request: Request) -> Response:
        trace_id = parse_trace_id(request.path_params["id"])
        if trace_id is None:
            raise BadRequest("a trace id is 1-8hex-24hex or 32 hex digits")
        return await ask(request, trees.trace, engine, trace_id)

    async def status(request: Request) -> Response:
        kind = "server" if state.settings.store else "embedded"
        ledger, rejections = statuses.doors(state.counters), state.counters.rejections()
        return await ask(request, statuses.status, state.store, ledger, rejections, kind)

    async def openapi(_: Request) -> Response:
        return answer(document())

    async def unknown(request: Request) -> Response:
        return error(404, "not_found", f"there is no {request.url.path}; /api/openapi.json describes what there is")

    return [
        Route("/api/service-graph", guarded(service_graph)),
        Route("/api/time-series", guarded(time_series)),
        Route("/api/traces", guarded(traces)),
        Route("/api/traces/{id}", guarded(trace)),
        Route("/api/status", guarded(status)),
        Route("/api/openapi.json", openapi),
        Route("/api/{rest:path}", unknown),
    ]
