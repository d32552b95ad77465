"""Version 6 is seen through botocore's instrumentation, version 5 through its own; the same is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import BaseClient
from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection.base import Connection
from pynamodb.exceptions import DoesNotExist, PutError, TableError
from pynamodb.models import Model

from fluoro import instrument
from fluoro.model import Kind, Segment
from fluoro.propagation import parse_xray
from fluoro.recorder import recorder
from fluoro.testing import Spans


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    """Both together, as they are in an application."""
    before = vars(Connection)["_make_api_call"], vars(BaseClient)["_make_api_call"]
    instrument.install((), lambda: True, [row for row in instrument.TABLE if row.name in ("botocore", "pynamodb")])
    yield
    instrument.uninstall()
    assert vars(Connection)["_make_api_call"] is before[0]
    assert vars(BaseClient)["_make_api_call"] is before[1]


def model(url: str, **settings: Any) -> Any:
    meta = {
        "table_name": "pynamo-orders", "host": url, "region": "eu-west-1", "aws_access_key_id": "k",
        "aws_secret_access_key": "s", "max_retry_attempts": 1, "base_backoff_ms": 1, **settings,
    }  # fmt: skip
    namespace = {
        "Meta": type("Meta", (), meta),
        "id": UnicodeAttribute(hash_key=True),
        "note": UnicodeAttribute(null=True),
    }
    return type("Order", (Model,), namespace)


def calls(spans: Spans) -> list[Segment]:
    """Without what describes the table, which the versions ask for at different times."""
    return [call for call in spans.take() if call.operation != "DescribeTable"]


@pytest.fixture
def order(aws_url: str, spans: Spans) -> Any:
    made = model(aws_url)
    if not made.exists():
        made.create_table(read_capacity_units=1, write_capacity_units=1, wait=True)
    spans.take()
    return made


def test_one_span_a_call(order: Any, spans: Spans) -> None:
    with recorder.begin_segment("POST /orders") as entry:
        order("7", note="secret").save()
        assert order.get("7").note == "secret"
        assert [found.id for found in order.query("7")] == ["7"]
    put, got, queried, served = calls(spans)
    assert [call.operation for call in (put, got, queried)] == ["PutItem", "GetItem", "Query"]
    for call in (put, got, queried):
        assert (call.name, call.namespace, call.kind) == ("DynamoDB", "aws", Kind.CLIENT)
        assert (call.trace_id, call.parent_id) == (entry.segment.trace_id, entry.segment.id)
        assert call.aws is not None
        assert (call.aws["table_name"], call.aws["region"]) == ("pynamo-orders", "eu-west-1")
        assert "retries" not in call.aws
        assert call.http is not None
        assert call.http.status == 200
        assert not call.error
    assert queried.aws is not None
    assert queried.aws["count"] == 1
    assert "secret" not in repr((put, got, queried, served))


def test_the_header_is_sent(order: Any, spans: Spans) -> None:
    seen: list[Any] = []
    connection = order._get_connection().connection
    connection.client.meta.events.register("before-send", lambda request, **_: seen.append(dict(request.headers)))
    order("8").save()
    (put,) = calls(spans)
    header = seen[-1]["X-Amzn-Trace-Id"]
    parent = parse_xray(header.decode() if isinstance(header, bytes) else header)
    assert parent is not None
    assert (parent.trace_id, parent.id) == (put.trace_id, put.id)


def test_what_is_not_there_is_no_error(order: Any, spans: Spans) -> None:
    with pytest.raises(DoesNotExist):
        order.get("none")
    (got,) = calls(spans)
    assert (got.operation, got.error, got.fault) == ("GetItem", False, False)


def test_a_refused_write_is_an_error(order: Any, spans: Spans) -> None:
    order("9").save()
    with pytest.raises(PutError):
        order("9").save(condition=order.id.does_not_exist())
    put, refused = calls(spans)
    assert not put.error
    assert (refused.error, refused.throttle, refused.fault) == (True, False, False)
    assert refused.http is not None
    assert refused.http.status == 400
    assert refused.cause is not None
    assert refused.cause.exceptions[0].remote


def test_an_unreachable_endpoint_is_a_fault(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    with pytest.raises(TableError):
        Connection(region="eu-west-1", host="http://127.0.0.1:9", max_retry_attempts=1).list_tables()
    failed = spans.one()
    assert (failed.operation, failed.error, failed.fault) == ("ListTables", False, True)
    assert failed.aws is not None
    assert failed.aws["retries"] == 1
