"""A trace that is larger than one piece, over HTTP."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from fluoro.model import Kind, Resource, Segment
from fluoro_collector.query.trace import reading as trace_read
from fluoro_collector.store.engine import StoreError
from query_server import Server
from query_store import BASE, SECOND

TRACE = BASE.to_bytes(4, "big") + b"l" * 12
PATH = f"/api/traces/{TRACE.hex()}"
COUNT = 1200


@pytest.fixture
def large(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(trace_read, "PART", 100)
    at = BASE * SECOND
    segments = [
        Segment(TRACE, number, number // 3, "web", at + number, at + SECOND, Kind.INTERNAL, number > 1)
        for number in range(1, COUNT + 1)
    ]
    server.insert(Resource(service_name="web"), segments)
    return server


def get(url: str) -> tuple[Any, Any]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer), answer.headers


def test_a_large_trace_is_streamed_whole(large: Server) -> None:
    found, headers = get(large.url + PATH)
    assert headers["transfer-encoding"] == "chunked"
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] is None
    assert len(found["segments"]) == found["count"] == COUNT
    assert [each["parent"] < index for index, each in enumerate(found["segments"])] == [True] * COUNT


def test_pages_of_a_large_trace(large: Server) -> None:
    first, headers = get(f"{large.url}{PATH}?limit=90")
    assert headers["content-length"]
    assert (len(first["segments"]), first["next"]) == (90, 89)
    assert len(first["notes"]["critical_path"]) > 1
    second, _ = get(f"{large.url}{PATH}?limit=500&after={first['next']}")
    assert (len(second["segments"]), second["next"], second["notes"]) == (500, 589, None)
    rest, _ = get(f"{large.url}{PATH}?after={second['next']}")
    assert (len(rest["segments"]), rest["next"]) == (COUNT - 590, None)
    joined = {each["id"] for page in (first, second, rest) for each in page["segments"]}
    assert len(joined) == COUNT


def test_an_answer_that_breaks_off_is_seen_as_broken(
    large: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = trace_read.parts

    def failing(*arguments: Any) -> Iterator[Any]:
        for number, part in enumerate(real(*arguments)):
            if number == 3:
                raise StoreError("Code: 1. secret")
            yield part

    monkeypatch.setattr("fluoro_collector.query.trace.trace.parts", failing)
    address = urlsplit(large.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.request("GET", PATH)
    answer = connection.getresponse()
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()
    assert "broke off" in caplog.text
    assert "secret" not in caplog.text


def test_a_client_that_leaves_is_not_answered_further(large: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector goes on to answer others."""
    address = urlsplit(large.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.request("GET", PATH)
    connection.getresponse().read(10)
    connection.close()
    monkeypatch.setattr(trace_read, "PART", 2000)
    assert get(large.url + PATH)[0]["count"] == COUNT
