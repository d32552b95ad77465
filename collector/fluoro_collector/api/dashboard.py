"""/api/…: the questions the dashboard asks. Times are epoch seconds, durations seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fluoro_collector.insights.keep import FIRST_PAGE
from fluoro_collector.insights.keep import parse_cursor as parse_insight_cursor
from fluoro_collector.insights.listing import insight_list
from fluoro_collector.query import status as statuses
from fluoro_collector.query.completion import suggestions as boxes
from fluoro_collector.query.expert import sql as experts
from fluoro_collector.query.graph import filtered_graph as graphs
from fluoro_collector.query.graph import graph_difference as differences
from fluoro_collector.query.graph import time_series as series
from fluoro_collector.query.graph.health import HealthView
from fluoro_collector.query.groups import DEFAULT, Groups
from fluoro_collector.query.ids import parse_trace_id
from fluoro_collector.query.search import summaries
from fluoro_collector.query.search.cursor import CursorError, parse_cursor
from fluoro_collector.query.search.search import By
from fluoro_collector.query.sets import comparison as comparisons
from fluoro_collector.query.sets import latency_histogram as histograms
from fluoro_collector.query.sets import top_values as tops
from fluoro_collector.query.sets import trace_series as trace_counts
from fluoro_collector.query.trace import trace as trees
from fluoro_collector.state import State

from .answers import (
    BadRequest,
    answer,
    edge,
    error,
    filter_text,
    guarded,
    node,
    one_of,
    period,
    time_range,
    whole,
)
from .openapi import OPERATIONS, GroupList, SqlQuestion, document
from .readers import Readers, TimedEngine
from .streamed import streamed

MAX_LIMIT = 1000
MAX_IDS = 100  # traces of one service graph
MAX_SEGMENTS = 1_000_000  # a page of one trace
MAX_INSIGHTS = 200
LONGEST_HEALTH_S = 7 * 86_400


def routes(state: State, readers: Readers) -> list[BaseRoute]:
    engine, dirty = TimedEngine(state.store.engine), state.rollup.dirty
    groups = Groups(state.configuration)
    view = HealthView(engine, dirty, groups)

    async def ask(request: Request, question: Callable[[], Any], missing: str = "") -> Response:
        """The answer to `question`; 404 for None. Encoded in the thread too: a large one must not hold up the loop."""

        def respond() -> Response:
            found = question()
            return error(404, "not_found", missing) if found is None else answer(found)

        return await readers.run(request, respond)

    async def service_graph(request: Request) -> Response:
        params = request.query_params
        names = params.getlist("trace")
        if names:
            if len(names) > MAX_IDS:
                raise BadRequest(f"at most {MAX_IDS} traces")
            if "filter" in params or "group" in params:
                raise BadRequest("trace goes without filter and group")
            ids = [_trace_id(name) for name in names]
            return await ask(request, lambda: graphs.traces_graph(engine, ids))
        start, end = time_range(request)
        return await ask(
            request,
            lambda: graphs.filtered_graph(engine, dirty, start, end, filter_text(request, groups), groups),
        )

    async def graph_difference(request: Request) -> Response:
        start, end = time_range(request)
        base = time_range(request, "base_")
        return await ask(
            request,
            lambda: differences.graph_difference(
                engine, dirty, start, end, *base, filter_text(request, groups), groups=groups
            ),
        )

    async def time_series(request: Request) -> Response:
        start, end = time_range(request)
        every, of_node, of_edge = period(request, start, end, 60), node(request), edge(request)
        if of_node and of_edge:
            raise BadRequest("ask for a node or for an edge")
        wanted = None if of_edge is None else (*of_edge, "")
        return await ask(request, lambda: series.time_series(engine, dirty, start, end, every, of_node, wanted))

    async def trace_series(request: Request) -> Response:
        start, end = time_range(request)
        every = period(request, start, end, 1)
        return await ask(
            request,
            lambda: trace_counts.trace_series(
                engine, dirty, start, end, every, filter_text(request, groups), groups=groups
            ),
        )

    async def histogram(request: Request) -> Response:
        start, end = time_range(request)
        of = cast("histograms.Of", one_of(request, "of", ("responsetime", "duration")))
        of_node, of_edge = node(request), edge(request)
        if of_node and of_edge:
            raise BadRequest("ask for a node or for an edge")
        element = ""
        if of_node or of_edge:
            element = request.query_params.get("node", "") or request.query_params.get("edge", "")
        if not element:
            return await ask(
                request,
                lambda: histograms.traces_histogram(
                    engine, dirty, start, end, filter_text(request, groups), of, groups=groups
                ),
            )
        return await ask(
            request,
            lambda: histograms.node_histogram(
                engine, dirty, start, end, element, filter_text(request, groups), groups=groups
            ),
            "the map of this range has no such node or edge",
        )

    async def top_values(request: Request) -> Response:
        start, end = time_range(request)
        key = request.query_params.get("key", "")
        limit = whole(request, "limit", 20, 1, MAX_LIMIT)
        return await ask(
            request,
            lambda: tops.top_values(engine, dirty, start, end, key, filter_text(request, groups), limit, groups=groups),
        )

    async def comparison(request: Request) -> Response:
        start, end = time_range(request)
        limit = whole(request, "limit", 50, 1, MAX_LIMIT)
        return await ask(
            request,
            lambda: comparisons.comparison(
                engine,
                dirty,
                start,
                end,
                filter_text(request, groups),
                filter_text(request, groups, "base"),
                limit,
                groups=groups,
            ),
        )

    async def traces(request: Request) -> Response:
        start, end = time_range(request)
        limit = whole(request, "limit", 50, 1, MAX_LIMIT)
        text = request.query_params.get("cursor", "")
        cursor = parse_cursor(text) if text else None
        by = cast("By", one_of(request, "by", ("start", "active", "end")))
        return await ask(
            request,
            lambda: summaries.traces(
                engine, dirty, start, end, filter_text(request, groups), limit, cursor, by=by, groups=groups
            ),
        )

    async def trace(request: Request) -> Response:
        """In pieces, each read when the one before is sent: memory holds one of them."""
        trace_id = _trace_id(request.path_params["id"])
        after = whole(request, "after", 0, 0, MAX_SEGMENTS) if request.query_params.get("after") else -1
        limit = whole(request, "limit", 0, 1, MAX_SEGMENTS) or None
        found = await streamed(request, readers, lambda: trees.trace_json(engine, trace_id, after, limit))
        return found or error(404, "not_found", "no such trace is stored")

    async def complete(request: Request) -> Response:
        start, end = time_range(request)
        text = request.query_params.get("text", "")
        cursor = whole(request, "cursor", len(text), 0, 1_000_000)
        return await ask(
            request,
            lambda: boxes.completions(engine, text, cursor, start, end, [group.name for group in groups.all()]),
        )

    async def sql(request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await request.body(), type=SqlQuestion)
        except msgspec.DecodeError as wrong:
            raise BadRequest(f'the body must be {{"query": "SELECT …", "limit": 1000}}: {wrong}') from None
        if not 1 <= asked.limit <= experts.MAX_ROWS:
            raise BadRequest(f"limit must be a whole number from 1 to {experts.MAX_ROWS}")
        return await ask(request, lambda: experts.expert_sql(engine, asked.query, asked.limit))

    async def health(request: Request) -> Response:
        start, end = time_range(request)
        if end - start > LONGEST_HEALTH_S:
            raise BadRequest(f"the range is over {LONGEST_HEALTH_S // 86_400} days")
        every = period(request, start, end, 60)
        group = request.query_params.get("group", "") or DEFAULT
        return await ask(
            request,
            lambda: view.health(group, start, end, every),
            f"there is no group {group[:100]!r}; /api/groups lists them",
        )

    async def insights(request: Request) -> Response:
        start, end = time_range(request)
        limit = whole(request, "limit", 50, 1, MAX_INSIGHTS)
        state_ = one_of(request, "state", ("any", "active", "closed"))
        text = request.query_params.get("cursor", "")
        before = parse_insight_cursor(text) if text else FIRST_PAGE
        if before is None:
            raise CursorError("this cursor was not given out by this API")
        wanted = "" if state_ == "any" else state_.upper()
        group = request.query_params.get("group", "")
        return await ask(request, lambda: insight_list(engine, start, end, group, wanted, limit, before))

    async def list_groups(request: Request) -> Response:
        return await ask(request, lambda: GroupList(groups=groups.all()))

    async def status(request: Request) -> Response:
        kind: Literal["server", "embedded"] = "server" if state.settings.store else "embedded"
        ledger, rejections = statuses.doors(state.counters), state.counters.rejections()
        return await ask(request, lambda: statuses.status(state.store, ledger, rejections, kind))

    async def openapi(_: Request) -> Response:
        return answer(document())

    async def unknown(request: Request) -> Response:
        taken = [each.method.upper() for each in OPERATIONS if each.path == request.url.path]
        if taken:
            said = (
                f"{request.url.path} takes {' and '.join(taken)}, not {request.method}; /api/openapi.json describes it"
            )
            return error(405, "wrong_method", said)
        return error(404, "not_found", f"there is no {request.url.path}; /api/openapi.json describes what there is")

    return [
        Route("/api/service-graph", guarded(service_graph)),
        Route("/api/graph-difference", guarded(graph_difference)),
        Route("/api/time-series", guarded(time_series)),
        Route("/api/trace-series", guarded(trace_series)),
        Route("/api/histogram", guarded(histogram)),
        Route("/api/top-values", guarded(top_values)),
        Route("/api/comparison", guarded(comparison)),
        Route("/api/traces", guarded(traces)),
        Route("/api/traces/{id}", guarded(trace)),
        Route("/api/complete", guarded(complete)),
        Route("/api/groups", guarded(list_groups)),
        Route("/api/health", guarded(health)),
        Route("/api/insights", guarded(insights)),
        Route("/api/sql", guarded(sql), methods=["POST"]),
        Route("/api/status", guarded(status)),
        Route("/api/openapi.json", openapi),
        Route("/api/{rest:path}", unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]


def _trace_id(text: str) -> bytes:
    found = parse_trace_id(text)
    if found is None:
        raise BadRequest("a trace id is 1-8hex-24hex or 32 hex digits")
    return found
