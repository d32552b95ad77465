"""GET /api/health and /api/insights over stored traces."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from fault_traffic import DATABASE, MINUTE, feed
from fluoro_collector.insights import keep
from fluoro_collector.insights.insight import Event, Impact, Insight, Service
from fluoro_collector.store.store import Store
from query_server import Server, serving
from query_store import empty

QUIET, BAD = 80, 6  # minutes


def plan(minute: int) -> tuple[int, int, int, int]:
    return (6, 0, 0, 0) if minute < QUIET else (20, 10, 0, 0)


@pytest.fixture(scope="module")
def begin() -> int:
    return int(time.time()) // 3600 * 3600 - 4 * 3600


@pytest.fixture(scope="module")
def filled(opened: Store, begin: int) -> Iterator[Server]:
    with serving(empty(opened)) as server:
        feed(opened, server.state.rollup, begin, QUIET + BAD, plan)
        yield server


def get(server: Server, path: str, **params: Any) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"{server.url}{path}?{urllib.parse.urlencode(params)}", timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_healthy_hour(filled: Server, begin: int) -> None:
    end = begin + QUIET * MINUTE
    status, health = get(filled, "/api/health", start=end - 600, end=end)
    assert status == 200
    assert (health["group"], health["verdict"], health["judged"]) == ("Default", "ok", end)
    assert health["why"] == "3 of 3 services are in their bands"
    assert {node["id"]: node["verdict"] for node in health["nodes"]} == {
        "web|": "ok",
        "orders|AWS::ECS::Container": "ok",
        "shop@db|Database::SQL": "ok",
    }
    assert health["nodes"][0]["why"] == "0 % of 30 requests failed in the last 5 minutes; 0.1 % are usual"
    assert [point["time"] for point in health["points"]] == list(range(end - 600, end, MINUTE))
    point = health["points"][-1]
    assert point["traffic"]["value"] == 6
    for name in ("traffic", "fault", "error", "throttle"):
        assert point[name]["low"] <= point[name]["value"] <= point[name]["high"], name
    # Six requests a minute are too few to compare their response times; thirty are not.
    assert point["p95"]["value"] == pytest.approx(0.09, rel=0.1)
    assert (point["p95"]["low"], point["p95"]["high"]) == (None, None)
    for point in get(filled, "/api/health", start=end - 600, end=end, period=300)[1]["points"]:
        assert point["traffic"]["value"] == 6
        assert point["p95"]["low"] < point["p95"]["value"] < point["p95"]["high"]


def test_a_bad_database(filled: Server, begin: int) -> None:
    start, end = begin + QUIET * MINUTE, begin + (QUIET + BAD) * MINUTE
    health = get(filled, "/api/health", start=start - 120, end=end)[1]
    assert health["verdict"] == "degraded"
    assert health["why"].endswith("(2 more)")
    assert [node["verdict"] for node in health["nodes"]] == ["degraded"] * 3
    worst = health["nodes"][0]
    assert (worst["requests"], worst["faults"]) == (100, 50)
    assert worst["low"] <= worst["high"] < 50
    before, now = health["points"][0], health["points"][-1]
    assert before["fault"]["value"] == 0
    assert now["fault"]["value"] == 0.5 > now["fault"]["high"]
    assert now["traffic"]["value"] == 20 > now["traffic"]["high"]


def test_the_beginning_says_little(filled: Server, begin: int) -> None:
    health = get(filled, "/api/health", start=begin, end=begin + 600)[1]
    assert health["verdict"] == "unknown"
    assert "there were too few before to know what is usual" in health["why"]
    assert health["points"][0]["fault"] == {"value": 0.0, "low": None, "high": None}
    silent = get(filled, "/api/health", start=begin - 7200, end=begin - 3600)[1]
    assert (silent["verdict"], silent["why"], silent["nodes"]) == ("unknown", "no requests in the last hour", [])
    assert silent["points"][0]["fault"]["value"] is None


def test_the_beginning_of_time_can_be_asked_for(filled: Server) -> None:
    status, health = get(filled, "/api/health", start=0, end=1)
    assert (status, health["verdict"]) == (200, "unknown")


def test_a_group_is_asked_for_its_traces(filled: Server, begin: int) -> None:
    document = {"name": "failing", "arn": "arn:failing", "expression": 'service("orders") { fault }'}
    with filled.state.configuration.edit("group") as edit:
        edit.put("failing", document)
    end = begin + (QUIET + BAD) * MINUTE
    health = get(filled, "/api/health", start=end - 300, end=end, group="failing")[1]
    assert {node["name"]: (node["requests"], node["faults"]) for node in health["nodes"]} == {
        "web": (50, 50),
        "orders": (50, 50),
        "shop@db": (50, 50),
    }
    assert [point["traffic"]["value"] for point in health["points"]] == [10] * 5
    assert [point["fault"]["value"] for point in health["points"]] == [1] * 5


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/api/health", {"start": 0, "end": 60, "group": "nobody"}, 404, "not_found"),
        ("/api/health", {"start": 0, "end": 8 * 86_400, "period": 3600}, 400, "bad_request"),
        ("/api/health", {"start": 0, "end": 60, "period": 90}, 400, "bad_request"),
        ("/api/insights", {"start": 0, "end": 60, "state": "open"}, 400, "bad_request"),
        ("/api/insights", {"start": 0, "end": 60, "limit": 201}, 400, "bad_request"),
        ("/api/insights", {"start": 0, "end": 60, "cursor": "x"}, 400, "bad_cursor"),
    ],
)
def test_wrong_input_is_told(filled: Server, path: str, params: dict[str, Any], status: int, code: str) -> None:
    found, answer = get(filled, path, **params)
    assert (found, answer["error"]["code"]) == (status, code)


def test_insights_are_listed_in_pages(filled: Server, begin: int) -> None:
    database = Service(*DATABASE)
    event = Event(begin + 180, "It began.", Impact(1, 2, 3), Impact(0, 2, 2), (database,))
    made = [
        Insight(
            id=f"00000000-0000-5000-8000-00000000000{number}",
            group="Default" if number < 4 else "other",
            group_arn="arn",
            root=database,
            start=begin + number * MINUTE,
            checked=begin + 600,
            out=begin + 540,
            usual=0.01,
            end=None if number == 3 else begin + 600,
            services=(database, Service("web", "")),
            summary=f"insight {number}",
            events=(event, event),
        )
        for number in range(5)
    ]
    keep.save(filled.state.store.engine, made)
    asked = {"start": begin, "end": begin + 900}
    first = get(filled, "/api/insights", **asked, limit=3)[1]
    assert [each["summary"] for each in first["insights"]] == ["insight 4", "insight 3", "insight 2"]
    rest = get(filled, "/api/insights", **asked, limit=3, cursor=first["cursor"])[1]
    assert [each["summary"] for each in rest["insights"]] == ["insight 1", "insight 0"]
    assert rest["cursor"] is None
    active = get(filled, "/api/insights", **asked, state="active", group="Default")[1]["insights"]
    assert [each["summary"] for each in active] == ["insight 3"]
    assert (active[0]["root_cause"], active[0]["services"]) == (
        "shop@db|Database::SQL",
        ["shop@db|Database::SQL", "web|"],
    )
    assert active[0]["end"] is None
    assert active[0]["events"][0]["client"] == {"ok": 1, "fault": 2, "total": 3}
    # What was over before the range is not in it; what goes on is.
    late = get(filled, "/api/insights", start=begin + 600, end=begin + 900)[1]["insights"]
    assert [each["summary"] for each in late] == ["insight 3"]
    health = get(filled, "/api/health", **asked)[1]
    assert (health["verdict"], health["why"]) == ("degraded", "insight 3")
    assert len(health["insights"]) == 4
