"""GET /api/…: the shapes the dashboard is built against."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import jsonschema
import pytest

from fluoro.model import Http, Kind, Resource, Segment
from fluoro_collector.api.dashboard import MAX_IDS, routes
from fluoro_collector.query.groups import KIND
from query_server import Server

SECOND = 1_000_000_000


def get(server: Server, path: str, **params: Any) -> tuple[int, Any]:
    url = f"{server.url}{path}{'?' if params else ''}{urllib.parse.urlencode(params, doseq=True)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def post(server: Server, path: str, body: Any) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
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
        ("/api/traces/" + "0" * 32, {"after": "-1"}, 400, "bad_request"),
        ("/api/nothing", {}, 404, "not_found"),
        ("/api/traces", {"start": 0, "end": 60, "by": "middle"}, 400, "bad_request"),
        ("/api/traces", {"start": 0, "end": 60, "group": "nobody"}, 400, "bad_request"),
        ("/api/service-graph", {"trace": "xyz"}, 400, "bad_request"),
        ("/api/service-graph", {"trace": "0" * 32, "filter": "fault"}, 400, "bad_request"),
        ("/api/service-graph", {"start": 0, "end": 60, "filter": "fault AND"}, 400, "bad_filter"),
        ("/api/graph-difference", {"start": 0, "end": 60}, 400, "bad_request"),
        ("/api/graph-difference", {"start": 0, "end": 60, "base_start": 9, "base_end": 9}, 400, "bad_request"),
        ("/api/time-series", {"start": 0, "end": 60, "edge": "a|->b"}, 400, "bad_request"),
        ("/api/time-series", {"start": 0, "end": 60, "edge": "a|->b|", "node": "a|"}, 400, "bad_request"),
        ("/api/trace-series", {"start": 0, "end": 7_000_000, "period": 1}, 400, "bad_request"),
        ("/api/histogram", {"start": 0, "end": 60, "of": "root"}, 400, "bad_request"),
        ("/api/histogram", {"start": 0, "end": 60, "node": "nobody|"}, 404, "not_found"),
        ("/api/top-values", {"start": 0, "end": 60}, 400, "bad_request"),
        ("/api/top-values", {"start": 0, "end": 60, "key": "nonsense"}, 400, "bad_request"),
        ("/api/comparison", {"start": 0, "end": 60, "base": "("}, 400, "bad_filter"),
        ("/api/complete", {"start": 0, "end": 60, "text": "fau", "cursor": "x"}, 400, "bad_request"),
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
    assert "nearest" not in answer["error"]
    _, misspelt = get(server, "/api/traces", start=0, end=60, filter="falt")
    assert misspelt["error"]["nearest"] == "fault"


def test_the_service_graph_of_chosen_traces(filled: Server, start: int) -> None:
    range_ = {"start": start, "end": start + 60}
    status, failing = get(filled, "/api/service-graph", **range_, filter="fault")
    assert status == 200
    assert {node["id"]: node["total"] for node in failing["nodes"]} == {"web|": 1, "web|client": 0, "pay|remote": 1}
    assert (failing["start"], failing["end"]) == (start, start + 60)
    listed = get(filled, "/api/traces", **range_)[1]["traces"]
    chosen = urllib.parse.urlencode([("trace", listed[0]["id"]), ("trace", listed[1]["id"])])
    status, graph = get(filled, f"/api/service-graph?{chosen}")
    assert status == 200
    assert {node["id"]: node["total"] for node in graph["nodes"]} == {"web|": 2, "web|client": 0, "pay|remote": 2}
    many = urllib.parse.urlencode([("trace", f"{number:032x}") for number in range(MAX_IDS + 1)])
    assert get(filled, f"/api/service-graph?{many}")[0] == 400


@pytest.mark.parametrize(
    ("path", "asked", "says"),
    [
        ("/api/service-graph", {"fliter": "fault"}, "there is no parameter 'fliter', did you mean filter?"),
        ("/api/time-series", {"filter": "fault"}, "this route has start, end, period, node, edge"),
        ("/api/groups", {"start": 1}, "this route has none"),
        ("/api/traces", {"filter": ["fault", "ok"]}, "filter is given more than once"),
        ("/api/histogram", {"node": "a|", "edge": "a|->b|"}, "ask for a node or for an edge"),
    ],
)
def test_a_parameter_that_would_not_count_is_refused(
    server: Server, path: str, asked: dict[str, Any], says: str
) -> None:
    range_ = {} if path == "/api/groups" else {"start": 0, "end": 60}
    status, wrong = get(server, path, **range_, **asked)
    assert (status, wrong["error"]["code"]) == (400, "bad_request")
    assert says in wrong["error"]["message"]


def test_a_wrong_method_is_told_the_right_one(server: Server) -> None:
    status, wrong = get(server, "/api/sql")
    assert status == 405
    assert "/api/sql takes POST, not GET" in wrong["error"]["message"]
    assert "takes GET, not POST" in post(server, "/api/traces", {})[1]["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"end": 60}, "start is missing"),
        ({"start": "yesterday", "end": 60}, "got 'yesterday'"),
        ({"start": 0, "end": 1_800_000_000_000}, "looks like milliseconds"),
    ],
)
def test_a_time_that_cannot_be_read_says_why(server: Server, asked: dict[str, Any], says: str) -> None:
    status, wrong = get(server, "/api/traces", **asked)
    assert status == 400
    assert says in wrong["error"]["message"]


def test_groups_choose_traces(filled: Server, start: int) -> None:
    group = {"name": "broken", "arn": "arn:x", "expression": "fault"}
    with filled.state.configuration.edit(KIND) as edit:
        edit.put("broken", group)
    filled.state.rollup.run_once()
    status, answer = get(filled, "/api/groups")
    assert status == 200
    assert [(each["name"], each["expression"]) for each in answer["groups"]] == [("Default", ""), ("broken", "fault")]
    range_ = {"start": start, "end": start + 60}
    for asked, count in [
        ({"group": "broken"}, 1),
        ({"group": "Default"}, 3),
        ({"group": "broken", "filter": "ok OR fault"}, 1),
        ({"group": "broken", "filter": "ok"}, 0),
        ({"filter": 'group.name = "broken"'}, 1),
    ]:
        assert get(filled, "/api/traces", **range_, **asked)[1]["count"] == count
        graph = get(filled, "/api/service-graph", **range_, **asked)[1]
        assert sum(node["total"] for node in graph["nodes"] if node["id"] == "web|") == count
    status, wrong = get(filled, "/api/traces", **range_, group="broken", filter="ok AND nonsense")
    assert (status, wrong["error"]["position"]) == (400, 7)


def test_traces_by_their_end_and_activity(filled: Server, start: int) -> None:
    for by, count in [("start", 0), ("end", 1), ("active", 1)]:
        _, page = get(filled, "/api/traces", start=start + 2.1, end=start + 60, by=by)
        assert page["count"] == count


def test_a_long_trace_comes_in_pages(filled: Server, start: int) -> None:
    path = "/api/traces/" + get(filled, "/api/traces", start=start, end=start + 60)[1]["traces"][0]["id"]
    whole = get(filled, path)[1]
    first = get(filled, path, limit=1)[1]
    assert (whole["count"], whole["next"], first["next"]) == (2, None, 0)
    rest = get(filled, path, after=first["next"], limit=10)[1]
    assert first["segments"] + rest["segments"] == whole["segments"]


def test_a_trace_is_streamed_whole(server: Server, start: int) -> None:
    """More segments than one piece holds."""
    at, trace_id = start * SECOND, start.to_bytes(4, "big") + b"s" * 12
    segments = [Segment(trace_id, 1, 0, "web", at, at + SECOND)]
    segments += [Segment(trace_id, n, 1, "step", at + n, at + n + 1, Kind.INTERNAL, True) for n in range(2, 6001)]
    server.insert(Resource(service_name="web"), segments)
    status, trace = get(server, f"/api/traces/{trace_id.hex()}")
    assert status == 200
    assert [int(each["id"], 16) for each in trace["segments"]] == list(range(1, 6001))


def test_time_series_of_an_edge(filled: Server, start: int) -> None:
    range_ = {"start": start, "end": start + 60}
    for edge, total in [("web|->pay|remote", 3), ("web|client->web|", 3), ("web|->nobody|", 0)]:
        status, answer = get(filled, "/api/time-series", **range_, edge=edge)
        assert status == 200
        assert [point["total"] for point in answer["points"]] == [total]


def test_analytics_of_traces(filled: Server, start: int) -> None:
    filled.state.rollup.run_once()
    range_ = {"start": start, "end": start + 60}
    series = get(filled, "/api/trace-series", **range_, period=1, filter="fault")[1]
    assert [point["time"] - start for point in series["points"] if point["fault"]] == [2]
    histogram = get(filled, "/api/histogram", **range_)[1]
    assert [(each["ok"], each["fault"], each["total"]) for each in histogram["buckets"]] == [(2, 1, 3)]
    assert histogram["buckets"][0]["low"] <= 0.2 < histogram["buckets"][0]["high"]
    node = get(filled, "/api/histogram", **range_, node="pay|remote")[1]
    assert (node["of"], node["total"], node["buckets"][0]["ok"]) == ("node", 3, None)
    edge = get(filled, "/api/histogram", **range_, edge="web|->pay|remote", filter="fault")[1]
    assert (edge["of"], edge["total"]) == ("edge", 1)
    top = get(filled, "/api/top-values", **range_, key="http.status")[1]
    assert [(each["value"], each["traces"], each["fault"]) for each in top["top"]] == [("200", 2, 0), ("500", 1, 1)]
    compared = get(filled, "/api/comparison", **range_)[1]
    assert (compared["filter"][:3], compared["traces"], compared["base_traces"]) == ("!ok", 1, 2)
    difference = get(
        filled, "/api/graph-difference", **range_, base_start=start - 3600, base_end=start, filter="ok OR fault"
    )[1]
    assert {each["id"] for each in difference["nodes"]} == {"web|", "web|client", "pay|remote"}
    assert difference["base_since"] is None


def test_completion_offers_words_and_values(filled: Server, start: int) -> None:
    filled.state.rollup.run_once()

    def offered(text: str) -> list[tuple[str, str]]:
        status, answer = get(filled, "/api/complete", start=start, end=start + 60, text=text)
        assert status == 200
        return [(each["kind"], each["insert"]) for each in answer["completions"]]

    assert ("keyword", "fault") in offered("fau")
    assert ("value", '"GET"') in offered("http.method = ")
    assert ("value", '"bob"') in offered('user = "B')
    assert ("value", "500") in offered("http.status = 5")
    assert ("value", '"Default"') in offered("group.name = ")
    assert offered("fault AND AND ") == []
    assert offered("x" * 5000) == []


def test_sql_for_experts(filled: Server) -> None:
    status, answer = post(
        filled, "/api/sql", {"query": "SELECT name, count() AS n FROM segments GROUP BY name ORDER BY name"}
    )
    assert status == 200
    assert answer["columns"][1] == {"name": "n", "type": "UInt64"}
    assert (answer["rows"], answer["truncated"]) == ([["pay", 3], ["web", 3]], False)
    assert post(filled, "/api/sql", {"query": "SELECT id FROM segments", "limit": 1})[1]["truncated"]
    for body, code in [
        ({"query": "SELECT * FROM system.tables"}, "bad_sql"),
        ({"query": "SELECT file('/etc/passwd')"}, "bad_sql"),
        ({"query": "SELECT 1", "limit": 0}, "bad_request"),
        ({"query": "SELECT 1", "settings": {}}, "bad_request"),
        ({}, "bad_request"),
        (b"SELECT 1", "bad_request"),
        (b"\xff", "bad_request"),
    ]:
        status, answer = post(filled, "/api/sql", body)
        assert (status, answer["error"]["code"]) == (400, code)


def test_the_description_covers_every_route(server: Server) -> None:
    document = get(server, "/api/openapi.json")[1]
    served = {
        (route.path, method.lower())
        for route in routes(server.state, None)  # type: ignore[arg-type] - nothing is asked
        for method in route.methods - {"HEAD"}
        if route.path.startswith("/api/") and route.path not in ("/api/openapi.json", "/api/{rest:path}")
    }
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == served
    assert len(served) > 10


def test_answers_are_as_described(filled: Server, start: int) -> None:
    """Every operation, called with all the parameters that go together, answers what its schema says."""
    filled.state.rollup.run_once()
    document = get(filled, "/api/openapi.json")[1]
    values: dict[str, Any] = {
        "start": start,
        "end": start + 60,
        "base_start": start - 60,
        "base_end": start,
        "id": f"{start:08x}" + "0" * 24,
        "after": 0,
        "key": "service",
        "period": 60,
        "limit": 5,
        "filter": "ok OR fault",
        "of": "duration",
        "base": "fault",
        "by": "active",
        "text": "fau",
        "cursor": 2,
    }
    asked = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names = {each["name"]: each for each in operation["parameters"]}
            given = {name: value for name, value in values.items() if name in names}
            if "cursor" in names and names["cursor"]["schema"]["type"] == "string":
                del given["cursor"]  # of a page; one that no page gave is refused
            for name, value in given.items():
                jsonschema.validate(value, names[name]["schema"])
            assert {name for name, each in names.items() if each["required"]} <= given.keys()
            if method == "post":
                status, answer = post(filled, path, {"query": "SELECT trace_id FROM segments", "limit": 2})
            else:
                status, answer = get(filled, path.replace("{id}", str(given.pop("id", ""))), **given)
            assert status == 200, (path, answer)
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            whole = {**schema, "components": document["components"]}
            jsonschema.validate(answer, whole)
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate([], whole)
            asked += 1
    assert asked == sum(map(len, document["paths"].values()))
    wrong = get(filled, "/api/traces", start=0, end=60, filter="(")[1]
    failure = document["paths"]["/api/traces"]["get"]["responses"]["400"]["content"]["application/json"]["schema"]
    jsonschema.validate(wrong, {**failure, "components": document["components"]})
