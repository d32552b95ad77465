"""GET /api/…: the shapes the dashboard is built against."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from fluoro.model import Http, Kind, Resource, Segment
from query_server import Server

SECOND = 1_000_000_000


def get(server: Server, path: str, **params: Any) -> tuple[int, Any]:
    url = f"{server.url}{path}?{urllib.parse.urlencode(params)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture
def start() -> int:
    return int(time.time()) // 60 * 60 - 60


@pytest.fixture
def filled(server: Server, start: int) -> Server:
    """Three requests to web, each with a call to a host; the last one fails."""
    for number in range(3):
        at = (start + number) * SECOND
        trace_id = (start + number).to_bytes(4, "big") + number.to_bytes(12, "big")
        fault = number == 2
        server.insert(
            Resource(service_name="web", environment="prod"),
            [
                Segment(
                    trace_id,
                    1,
                    0,
                    "web",
                    at,
                    at + SECOND // 5,
                    Kind.SERVER,
                    operation="GET /",
                    http=Http("GET", "http://web/", 500 if fault else 200),
                    fault=fault,
                    user="bob",
                ),
                Segment(trace_id, 2, 1, "pay", at + 1, at + SECOND // 10, Kind.CLIENT, True, "remote"),
            ],
        )
    return server


def test_the_service_graph(filled: Server, start: int) -> None:
    status, graph = get(filled, "/api/service-graph", start=start + 1, end=start + 61)
    assert status == 200
    assert (graph["start"], graph["end"]) == (start, start + 120)
    assert graph["since"] == start
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert set(nodes) == {"web|", "web|client", "pay|remote"}
    assert {name: nodes["web|"][name] for name in ("ok", "error", "throttle", "fault", "total")} == {
        "ok": 2,
        "error": 0,
        "throttle": 0,
        "fault": 1,
        "total": 3,
    }
    assert nodes["web|"]["total_time"] == pytest.approx(0.6)
    assert nodes["web|"]["p50"] == pytest.approx(0.2, rel=0.09)
    assert sum(count for _, count in nodes["web|"]["histogram"]) == 3
    assert (nodes["web|"]["root"], nodes["web|"]["inferred"]) == (True, False)
    assert (nodes["pay|remote"]["root"], nodes["pay|remote"]["inferred"]) == (False, True)
    assert nodes["web|client"]["p50"] is None
    edges = {edge["id"]: edge for edge in graph["edges"]}
    assert {key: (edge["kind"], edge["total"]) for key, edge in edges.items()} == {
        "web|->pay|remote": ("sync", 3),
        "web|client->web|": ("sync", 3),
    }
    filled.state.rollup.run_once()
    assert get(filled, "/api/service-graph", start=start + 1, end=start + 61)[1] == graph


def test_since_is_the_first_minute_with_data(filled: Server, start: int) -> None:
    def since(first: int, last: int) -> float | None:
        return get(filled, "/api/service-graph", start=first, end=last)[1]["since"]

    for _ in ("live", "rolled up"):
        assert since(start - 3600, start + 60) == start
        assert since(start - 3600, start) is None
        assert since(start + 60, start + 120) is None
        filled.state.rollup.run_once()
    filled.insert(
        Resource(service_name="web"), [Segment(b"n" * 16, 1, 0, "web", (start + 60) * SECOND, (start + 60) * SECOND)]
    )
    assert since(start, start + 120) == start
    assert since(start + 60, start + 120) == start + 60
    filled.insert(
        Resource(service_name="web"), [Segment(b"o" * 16, 1, 0, "web", (start - 60) * SECOND, (start - 60) * SECOND)]
    )
    assert since(start - 3600, start + 120) == start - 60


def test_time_series_of_a_node_and_of_all_clients(filled: Server, start: int) -> None:
    range_ = {"start": start, "end": start + 180}
    for params in ({"node": "web|"}, {"node": "web|client"}, {}):
        status, answer = get(filled, "/api/time-series", period=60, **range_, **params)
        assert status == 200
        assert [(point["time"] - start, point["total"], point["fault"]) for point in answer["points"]] == [
            (0, 3, 1),
            (60, 0, 0),
            (120, 0, 0),
        ]
        assert answer["points"][1]["p95"] is None
    assert get(filled, "/api/time-series", period=60, **range_, node="pay|remote")[1]["points"][0]["ok"] == 3


def test_traces_page_by_cursor(filled: Server, start: int) -> None:
    status, page = get(filled, "/api/traces", start=start, end=start + 60, limit=2)
    assert status == 200
    assert (len(page["traces"]), page["count"]) == (2, 3)
    first = page["traces"][0]
    assert first["start"] == start + 2
    assert {key: first[key] for key in ("outcome", "fault", "ok", "status", "method", "url", "user", "segments")} == {
        "outcome": "fault",
        "fault": True,
        "ok": False,
        "status": 500,
        "method": "GET",
        "url": "http://web/",
        "user": "bob",
        "segments": 2,
    }
    assert first["services"] == ["web"]
    _, rest = get(filled, "/api/traces", start=start, end=start + 60, limit=2, cursor=page["cursor"])
    assert [each["start"] for each in rest["traces"]] == [start]
    assert (rest["cursor"], rest["count"]) == (None, 3)
    assert get(filled, "/api/traces", start=start, end=start + 60, filter="fault")[1]["count"] == 1


def test_one_trace(filled: Server, start: int) -> None:
    listed = get(filled, "/api/traces", start=start, end=start + 60)[1]["traces"]
    status, trace = get(filled, f"/api/traces/{listed[0]['id']}")
    assert status == 200
    assert [(each["id"], each["parent"], each["depth"]) for each in trace["segments"]] == [
        ("0000000000000001", -1, 0),
        ("0000000000000002", 0, 1),
    ]
    entry, call = trace["segments"]
    assert entry["http"] == {"method": "GET", "url": "http://web/", "status": 500}
    assert (entry["type"], call["type"]) == ("segment", "subsegment")
    assert call["peer"] == {"name": "pay", "type": "remote"}
    assert entry["resource"] == {"service_name": "web", "environment": "prod"}
    assert get(filled, "/api/traces/" + listed[0]["id"].replace("-", "")[1:])[1] == trace


def test_status(filled: Server) -> None:
    status, answer = get(filled, "/api/status")
    assert status == 200
    assert answer["store"] == "embedded"
    assert answer["segments"] == 6
    assert answer["newest"] == pytest.approx(time.time(), abs=60)
    assert answer["doors"]["grpc"] == {"received": 0, "stored": 0, "rejected": 0, "dropped": 0, "in_flight": 0}


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/api/service-graph", {}, 400, "bad_request"),
        ("/api/service-graph", {"start": 60, "end": 60}, 400, "bad_request"),
        ("/api/service-graph", {"start": "nan", "end": 60}, 400, "bad_request"),
        ("/api/service-graph", {"start": 0, "end": 1e9}, 400, "bad_request"),
        ("/api/time-series", {"start": 0, "end": 60, "period": 61}, 400, "bad_request"),
        ("/api/time-series", {"start": 0, "end": 60, "node": "x"}, 400, "bad_request"),
        ("/api/time-series", {"start": 0, "end": 7_000_000, "period": 60}, 400, "bad_request"),
        ("/api/traces", {"start": 0, "end": 60, "limit": 1001}, 400, "bad_request"),
        ("/api/traces", {"start": 0, "end": 60, "limit": "²"}, 400, "bad_request"),
        ("/api/traces", {"start": 0, "end": 60, "cursor": "é"}, 400, "bad_cursor"),
        ("/api/traces/xyz", {}, 400, "bad_request"),
        ("/api/traces/" + "0" * 32, {}, 404, "not_found"),
        ("/api/nothing", {}, 404, "not_found"),
    ],
)
def test_wrong_input_is_told(server: Server, path: str, params: dict[str, Any], status: int, code: str) -> None:
    found, answer = get(server, path, **params)
    assert (found, answer["error"]["code"]) == (status, code)
    assert answer["error"]["message"]


def test_a_wrong_filter_says_where(server: Server) -> None:
    status, answer = get(server, "/api/traces", start=0, end=60, filter="fault AND nonsense")
    assert status == 400
    assert answer["error"]["code"] == "bad_filter"
    assert answer["error"]["position"] == 10


def test_the_description_covers_every_route(server: Server) -> None:
    document = get(server, "/api/openapi.json")[1]
    assert set(document["paths"]) == {
        "/api/service-graph",
        "/api/time-series",
        "/api/traces",
        "/api/traces/{id}",
        "/api/status",
    }
    node = document["components"]["schemas"]["Node"]
    assert {"id", "name", "type", "inferred", "root", "p50", "histogram"} <= set(node["required"])
