"""pymongo's real clients against a server that speaks MongoDB's protocol (see `servers.fake_mongo`)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from pymongo import errors, monitoring

from contracts.patched import PatchedContract
from fluoro.model import Kind
from fluoro.propagation import Parent
from fluoro.recorder import recorder
from fluoro.testing import Spans
from servers.fake_mongo import fake_mongo

NAME = "shop@127.0.0.1"
OPTIONS: dict[str, Any] = {"serverSelectionTimeoutMS": 5_000, "retryWrites": False, "retryReads": False}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with fake_mongo() as port:
        yield port


@pytest.fixture(scope="module")
def early(port: int) -> Iterator[Any]:
    """A client that was made and used before anything was patched."""
    client: Any = pymongo.MongoClient("127.0.0.1", port, **OPTIONS)
    client.shop.orders.drop()
    yield client
    client.close()


@pytest.fixture
def orders(early: Any, port: int) -> Iterator[Any]:
    """The collection, empty, through a client of its own."""
    early.shop.orders.drop()
    client: Any = pymongo.MongoClient("127.0.0.1", port, **OPTIONS)
    yield client.shop.orders
    client.close()


class Listener(monitoring.CommandListener):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.heard.append(f"{event.command_name} started")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self.heard.append(f"{event.command_name} succeeded")

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self.heard.append(f"{event.command_name} failed")


class TestPymongo(PatchedContract):
    library = "pymongo"

    def originals(self) -> list[Any]:
        listeners: Any = monitoring._EventListeners
        return [
            listeners.publish_command_start,
            listeners.publish_command_success,
            listeners.publish_command_failure,
            listeners.enabled_for_commands,
        ]

    @pytest.fixture(autouse=True)
    def _emptied(self, orders: Any, spans: Spans) -> None:  # noqa: ARG002  it is emptied before
        spans.take()

    def test_one_span_below_the_current_one(self, orders: Any, spans: Spans) -> None:
        with recorder.begin_segment("GET /") as entry:
            assert orders.find_one({"buyer": "secret"}) is None
            assert recorder.current() is entry
        call, request = spans.take(2)
        assert (call.trace_id, call.parent_id) == (request.trace_id, entry.segment.id)
        assert (call.name, call.namespace, call.kind, call.subsegment) == (NAME, "remote", Kind.CLIENT, True)
        assert (call.operation, call.fault) == ("find orders", False)
        assert call.annotations == {"db.system.name": "mongodb"}
        assert "secret" not in repr(call)

    def test_writes(self, orders: Any, spans: Spans) -> None:
        orders.insert_one({"_id": 1, "buyer": "secret"})
        orders.insert_many([{"_id": 2}, {"_id": 3}])
        assert orders.update_one({"_id": 1}, {"$set": {"buyer": "secret too"}}).modified_count == 1
        assert orders.delete_many({"_id": 2}).deleted_count == 1
        assert orders.find_one({"_id": 1}) == {"_id": 1, "buyer": "secret too"}
        orders.bulk_write([pymongo.InsertOne({"_id": 4}), pymongo.DeleteOne({"_id": 4})])
        calls = spans.take(7)
        assert [call.operation for call in calls] == [
            "insert orders", "insert orders", "update orders", "delete orders", "find orders", "insert orders",
            "delete orders",
        ]  # fmt: skip
        assert "secret" not in repr(calls)

    def test_each_batch_of_a_cursor_is_a_call(self, orders: Any, spans: Spans) -> None:
        orders.insert_many([{"_id": number} for number in range(5)])
        assert len(list(orders.find({}, batch_size=3))) == 5
        assert [call.operation for call in spans.take(3)] == ["insert orders", "find orders", "getMore orders"]

    def test_an_error_passes_unchanged_and_is_the_cause(self, orders: Any, spans: Spans) -> None:
        with recorder.begin_segment("GET /") as entry:
            with pytest.raises(errors.OperationFailure) as raised:
                list(orders.find({"$nonsense": 1}))
            entry.fail(raised.value)
        call, request = spans.take(2)
        assert (call.operation, call.fault) == ("find orders", True)
        assert call.cause is not None
        assert request.cause is not None
        assert call.cause.exceptions[0].type == "pymongo.errors.OperationFailure"
        assert call.cause.exceptions[0].message == str(raised.value)
        assert request.cause.ref == call.cause.exceptions[0].id

    def test_a_write_that_is_refused_is_a_fault(self, orders: Any, spans: Spans) -> None:
        orders.insert_one({"_id": "secret"})
        with pytest.raises(errors.DuplicateKeyError):
            orders.insert_one({"_id": "secret"})
        first, second = spans.take(2)
        assert (first.fault, second.fault) == (False, True)
        assert second.cause is not None
        record = second.cause.exceptions[0]
        assert record.type == "MongoDB error 11000"
        assert record.message == "E11000 duplicate key error collection: shop.orders index: _id_"

    def test_a_command_of_ones_own(self, orders: Any, spans: Spans) -> None:
        orders.database.command("ping", comment="secret")
        with pytest.raises(errors.OperationFailure):
            orders.database.command("nonsense", "secret")
        ping, nonsense = spans.take(2)
        assert [(call.operation, call.fault) for call in (ping, nonsense)] == [("ping", False), ("nonsense", True)]

    def test_a_client_made_before_is_traced(self, early: Any, spans: Spans) -> None:
        early.shop.orders.find_one()
        assert spans.one().operation == "find orders"

    def test_listeners_of_the_application_hear_the_same(self, port: int, spans: Spans) -> None:
        listener = Listener()
        client: Any = pymongo.MongoClient("127.0.0.1", port, event_listeners=[listener], **OPTIONS)
        client.shop.orders.find_one()
        with pytest.raises(errors.OperationFailure):
            client.shop.command("nonsense")
        client.close()
        assert listener.heard[:4] == ["find started", "find succeeded", "nonsense started", "nonsense failed"]
        assert [call.operation for call in spans.take()][:2] == ["find orders", "nonsense"]

    def test_unsampled_is_not_recorded(self, orders: Any, spans: Spans) -> None:
        with recorder.begin_segment("GET /", parent=Parent(b"\x65" * 16, 7, sampled=False)):
            orders.find_one()
        assert spans.take() == []

    def test_threads_do_not_mix(self, orders: Any, spans: Spans) -> None:
        def request(number: int) -> None:
            with recorder.begin_segment(f"GET /{number}"):
                orders.find_one({"_id": number})

        threads = [threading.Thread(target=request, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        finished = spans.take(8)
        entries = {span.id for span in finished if not span.subsegment}
        assert {span.parent_id for span in finished if span.subsegment} == entries
