"""GET /api/openapi.json: the dashboard API described; the schemas are those of the structs that are encoded."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from fluoro_collector import __version__
from fluoro_collector.query.service_graph import ServiceGraph
from fluoro_collector.query.status import Status
from fluoro_collector.query.time_series import TimeSeries
from fluoro_collector.query.trace import Trace
from fluoro_collector.query.traces import TraceList


class ErrorDetail(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`position` and `expected` only for a filter expression: where it goes wrong and what could stand there."""

    code: str
    message: str
    position: int | None = None
    expected: list[str] | None = None


class ErrorAnswer(msgspec.Struct, kw_only=True):
    error: ErrorDetail


_START = ("start", "number", True, "first moment, epoch seconds")
_END = ("end", "number", True, "end of the range, epoch seconds, itself not included")
_Parameter = tuple[str, str, bool, str]

_OPERATIONS: list[tuple[str, str, type, list[_Parameter]]] = [
    ("/api/service-graph", "Service map of the requests and calls that began in a range", ServiceGraph, [_START, _END]),
    (
        "/api/time-series",
        "Requests over time, of one node or those of all clients",
        TimeSeries,
        [
            _START,
            _END,
            ("period", "integer", False, "seconds per point, a multiple of 60; default 60"),
            ("node", "string", False, "id of a node of the service map"),
        ],
    ),
    (
        "/api/traces",
        "Traces that began in a range, newest first",
        TraceList,
        [
            _START,
            _END,
            ("filter", "string", False, "X-Ray filter expression"),
            ("limit", "integer", False, "1 to 1000; default 50"),
            ("cursor", "string", False, "from the page before"),
        ],
    ),
    ("/api/traces/{id}", "One trace, its segments depth first", Trace, []),
    ("/api/status", "What is stored, and the ledger of each door", Status, []),
]
_FAILURES = {"400": "a parameter is wrong", "404": "not found", "503": "the store cannot answer now"}


@cache
def document() -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    types = [kind for _, _, kind, _ in _OPERATIONS]
    schemas, components = msgspec.json.schema_components(
        [*types, ErrorAnswer], ref_template="#/components/schemas/{name}"
    )
    failures = {code: _response(text, schemas[-1]) for code, text in _FAILURES.items()}
    paths = {}
    for (path, summary, _, parameters), schema in zip(_OPERATIONS, schemas, strict=False):
        listed = [_parameter("query", *each) for each in parameters]
        if "{id}" in path:
            listed.append(_parameter("path", "id", "string", True, '"1-8hex-24hex" or 32 hex digits'))
        responses = {"200": _response(summary, schema), **failures}
        paths[path] = {"get": {"summary": summary, "parameters": listed, "responses": responses}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "fluoro query API", "version": __version__},
        "paths": paths,
        "components": {"schemas": components},
    }


def _parameter(place: str, name: str, kind: str, required: bool, text: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "description": text, "schema": {"type": kind}}


def _response(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}
