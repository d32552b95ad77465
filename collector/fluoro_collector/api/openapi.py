"""GET /api/openapi.json: the dashboard API described; the schemas are those of the structs that are encoded."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import msgspec

from fluoro_collector import __version__
from fluoro_collector.insights.listing import InsightList
from fluoro_collector.query.completion.suggestions import Completions
from fluoro_collector.query.expert.sql import SqlAnswer
from fluoro_collector.query.graph.graph_difference import GraphDifference
from fluoro_collector.query.graph.health import Health
from fluoro_collector.query.graph.service_graph import ServiceGraph
from fluoro_collector.query.graph.time_series import TimeSeries
from fluoro_collector.query.groups import Group
from fluoro_collector.query.search.summaries import TraceList
from fluoro_collector.query.sets.comparison import Comparison
from fluoro_collector.query.sets.facets import KEYS
from fluoro_collector.query.sets.latency_histogram import Histogram
from fluoro_collector.query.sets.top_values import TopValues
from fluoro_collector.query.sets.trace_series import TraceSeries
from fluoro_collector.query.status import Status
from fluoro_collector.query.trace.trace import Trace


class ErrorDetail(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`position` and `expected` only for a filter expression: where it goes wrong and what could stand there.

    `nearest` is the word that was probably meant there; absent when none is near.
    """

    code: str
    message: str
    position: int | None = None
    expected: list[str] | None = None
    nearest: str | None = None


class ErrorAnswer(msgspec.Struct, kw_only=True):
    error: ErrorDetail


class GroupList(msgspec.Struct, kw_only=True):
    """Default, the group of all traces, first; then by name."""

    groups: list[Group]


class SqlQuestion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`query` is one SELECT over the store's tables, `limit` (1 to 10,000) the most rows to answer."""

    query: str
    limit: int = 1000


class Parameter(NamedTuple):
    """`schema`: a JSON schema. `place` is where OpenAPI says that it stands."""

    name: str
    schema: dict[str, Any]
    text: str
    required: bool = False
    place: str = "query"


class Operation(NamedTuple):
    path: str
    summary: str
    answer: type
    parameters: tuple[Parameter, ...] = ()
    method: str = "get"
    body: type | None = None


_NUMBER, _TEXT = {"type": "number"}, {"type": "string"}
_START = Parameter("start", _NUMBER, "first moment, epoch seconds", True)
_END = Parameter("end", _NUMBER, "end of the range, epoch seconds, itself not included", True)
_RANGE = (_START, _END)
_FILTER = (
    Parameter("filter", _TEXT, "X-Ray filter expression; without one every trace matches"),
    Parameter("group", _TEXT, "name of a group; with a filter both must match"),
)
_NODE = Parameter("node", _TEXT, 'id of a node of the service map, "name|type"')
_EDGE = Parameter("edge", _TEXT, 'id of an edge of the service map, "name|type->name|type"')


def _whole(low: int, high: int, default: int | None = None) -> dict[str, Any]:
    bounds = {"type": "integer", "minimum": low, "maximum": high}
    return bounds if default is None else {**bounds, "default": default}


def _choice(*choices: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(choices), "default": choices[0]}


OPERATIONS = (
    Operation(
        "/api/service-graph",
        "Service map of a range, of the traces that match a filter or belong to a group, or of chosen traces. Without a filter: "
        "requests and calls that began in the range; with one: all those of the traces that began in it and match, unsampled. "
        "start and end may be left out with trace",
        ServiceGraph,
        (
            _START._replace(required=False),
            _END._replace(required=False),
            *_FILTER,
            Parameter(
                "trace",
                {"type": "array", "items": _TEXT, "maxItems": 100},
                "id of a trace, repeated for several; instead of filter and group",
            ),
        ),
    ),
    Operation(
        "/api/graph-difference",
        "What changed on the service map from a base range to another: new, gone, slower, faster, more or less failing",
        GraphDifference,
        (
            *_RANGE,
            Parameter("base_start", _NUMBER, "as start, of the range to compare with", True),
            Parameter("base_end", _NUMBER, "as end, of the range to compare with", True),
            *_FILTER,
        ),
    ),
    Operation(
        "/api/time-series",
        "Requests over time, of one node, of one edge, or those of all clients",
        TimeSeries,
        (
            *_RANGE,
            Parameter("period", {**_whole(60, 86_400, 60), "multipleOf": 60}, "seconds per point"),
            _NODE,
            _EDGE,
        ),
    ),
    Operation(
        "/api/trace-series",
        "Matching traces over time, by the outcome of their roots, with a histogram of response times per point",
        TraceSeries,
        (*_RANGE, Parameter("period", _whole(1, 86_400, 60), "seconds per point"), *_FILTER),
    ),
    Operation(
        "/api/histogram",
        "How long matching traces took, by outcome; or the requests of a node or an edge",
        Histogram,
        (
            *_RANGE,
            *_FILTER,
            Parameter("of", _choice("responsetime", "duration"), "of traces: of the root, or first start to last end"),
            _NODE,
            _EDGE,
        ),
    ),
    Operation(
        "/api/top-values",
        "The most frequent values of an annotation or another facet among matching traces, and how traces with each fare",
        TopValues,
        (
            *_RANGE,
            Parameter("key", _TEXT, f"annotation.NAME, or one of {', '.join(KEYS)}", True),
            *_FILTER,
            Parameter("limit", _whole(1, 1000, 20), "values"),
        ),
    ),
    Operation(
        "/api/comparison",
        "Values that are over-represented in the traces of a filter (without one: failing and slow ones) against those of a base",
        Comparison,
        (
            *_RANGE,
            Parameter(
                "filter", _TEXT, "X-Ray filter expression; without one failing and slow traces (the answer says which)"
            ),
            _FILTER[1],
            Parameter("base", _TEXT, "filter expression; without one all other traces of the range"),
            Parameter("limit", _whole(1, 1000, 50), "values"),
        ),
    ),
    Operation(
        "/api/traces",
        "Matching traces of a range, newest first",
        TraceList,
        (
            *_RANGE,
            *_FILTER,
            Parameter("by", _choice("start", "active", "end"), "what must lie in the range: start, any moment, or end"),
            Parameter("limit", _whole(1, 1000, 50), "traces"),
            Parameter("cursor", _TEXT, "from the page before"),
        ),
    ),
    Operation(
        "/api/traces/{id}",
        "One trace, its segments depth first",
        Trace,
        (
            Parameter("id", _TEXT, '"1-8hex-24hex" or 32 hex digits', True, "path"),
            Parameter("after", _whole(0, 1_000_000), "index of the last segment of the page before, its `next`"),
            Parameter("limit", _whole(1, 1_000_000), "segments; without it all"),
        ),
    ),
    Operation(
        "/api/complete",
        "What could stand at the cursor of a filter expression",
        Completions,
        (
            *_RANGE,
            Parameter("text", _TEXT, "the expression as it is written so far"),
            Parameter("cursor", _whole(0, 1_000_000), "characters before the cursor; without it all"),
        ),
    ),
    Operation("/api/groups", "Named filter expressions", GroupList),
    Operation(
        "/api/health",
        "How a group does: rates, response times and traffic beside their expected bands, and a verdict on each service. At most "
        "seven days",
        Health,
        (
            *_RANGE,
            Parameter("group", _TEXT, "name of a group; Default, all traces, without"),
            Parameter("period", {**_whole(60, 86_400, 60), "multipleOf": 60}, "seconds per point"),
        ),
    ),
    Operation(
        "/api/insights",
        "Services whose faults left the band, with root cause, impact and events; active at some time in a range, newest first. Only of "
        "groups whose `insights` are switched on (/api/groups), with UpdateGroup of the X-Ray API",
        InsightList,
        (
            *_RANGE,
            Parameter("group", _TEXT, "name of a group; of all groups without"),
            Parameter("state", _choice("any", "active", "closed"), "whether they are over"),
            Parameter("limit", _whole(1, 200, 50), "insights"),
            Parameter("cursor", _TEXT, "from the page before"),
        ),
    ),
    Operation(
        "/api/sql",
        "One SELECT over the tables of the store, read only and limited; ask for FINAL to count copies of a row once. Columns and types of "
        "a table: SELECT * FROM traces LIMIT 0; a table that is not there is answered with the names of all",
        SqlAnswer,
        method="post",
        body=SqlQuestion,
    ),
    Operation("/api/status", "What is stored, and the ledger of each door", Status),
)


@cache
def query_parameters(path: str) -> dict[str, bool]:
    """Name → may be repeated, of each query parameter that the route `path` has."""
    return {
        p.name: p.schema.get("type") == "array"
        for each in OPERATIONS
        if each.path == path
        for p in each.parameters
        if p.place == "query"
    }


_FAILURES = {"400": "a parameter is wrong", "404": "not found", "503": "the store cannot answer now"}


@cache
def document() -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    bodies = [each.body for each in OPERATIONS if each.body is not None]
    schemas, components = msgspec.json.schema_components(
        [*(each.answer for each in OPERATIONS), *bodies, ErrorAnswer], ref_template="#/components/schemas/{name}"
    )
    failures = {code: _content(text, schemas[-1]) for code, text in _FAILURES.items()}
    asked = dict(zip(bodies, schemas[len(OPERATIONS) : -1], strict=True))
    paths: dict[str, Any] = {}
    for each, schema in zip(OPERATIONS, schemas, strict=False):
        described: dict[str, Any] = {
            "summary": each.summary,
            "parameters": [
                {"name": p.name, "in": p.place, "required": p.required, "description": p.text, "schema": p.schema}
                for p in each.parameters
            ],
            "responses": {"200": _content(each.summary, schema), **failures},
        }
        if each.body is not None:
            described["requestBody"] = {"required": True, **_content("", asked[each.body])}
        paths.setdefault(each.path, {})[each.method] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "fluoro query API", "version": __version__},
        "paths": paths,
        "components": {"schemas": components},
    }


def _content(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {**({"description": text} if text else {}), "content": {"application/json": {"schema": schema}}}
