"""redis-py against a real server: commands, pipelines, waiting commands, errors. What came by 4.4 is in `test_redis_since_4_4.py`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from contracts.patched import PatchedContract
from fluoro.instrument.redis import _named
from fluoro.model import Kind
from fluoro.propagation import Parent
from fluoro.recorder import recorder
from fluoro.testing import Spans
from servers.redis import redis_server

NAME = "redis@127.0.0.1"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with redis_server() as port:
        yield port


@pytest.fixture
def client(port: int) -> Iterator[redis.Redis]:
    client = redis.Redis(host="127.0.0.1", port=port)
    client.flushall()
    yield client
    client.connection_pool.disconnect()


class TestBlocking(PatchedContract):
    library = "redis"

    def originals(self) -> list[Any]:
        return [
            redis.Redis.execute_command,
            redis.client.Pipeline.execute,
            redis.client.Pipeline.immediate_execute_command,
        ]

    @pytest.fixture(autouse=True)
    def _flushed(self, client: redis.Redis, spans: Spans) -> None:  # noqa: ARG002  it flushes
        spans.take()

    def test_one_span_below_the_current_one(self, client: redis.Redis, spans: Spans) -> None:
        with recorder.begin_segment("GET /") as entry:
            client.set("secret-key", "secret-value")
            assert recorder.current() is entry
        call, request = spans.take(2)
        assert (call.trace_id, call.parent_id) == (request.trace_id, entry.segment.id)
        assert (call.name, call.namespace, call.kind, call.subsegment) == (NAME, "remote", Kind.CLIENT, True)
        assert (call.operation, call.fault, call.error) == ("SET", False, False)
        assert call.annotations == {"db.system.name": "redis", "db.redis.args_length": 3}
        assert "secret" not in repr(call)

    def test_the_results_are_the_librarys(self, client: redis.Redis, spans: Spans) -> None:
        assert client.set("a", "1") is True
        assert client.mget("a", "b") == [b"1", None]
        assert client.config_get("maxmemory") == {"maxmemory": "0"}
        assert [call.operation for call in spans.take(3)] == ["SET", "MGET", "CONFIG GET"]

    def test_a_pipeline_is_one_span(self, client: redis.Redis, spans: Spans) -> None:
        with client.pipeline() as pipe:
            assert pipe.set("a", "secret").strlen("a").get("a").execute() == [True, 6, b"secret"]
            assert pipe.execute() == []
        call = spans.one()
        assert (call.name, call.operation) == (NAME, "PIPELINE")
        assert call.annotations == {"db.system.name": "redis", "db.operation.batch.size": 3}
        assert call.metadata == {"redis": {"commands": ["SET", "STRLEN", "GET"]}}
        assert "secret" not in repr(call)

    def test_a_long_pipeline_is_cut(self, client: redis.Redis, spans: Spans) -> None:
        pipe = client.pipeline(transaction=False)
        for number in range(50):
            pipe.set(f"k{number}", number)
        pipe.execute()
        call = spans.one()
        assert call.metadata == {"redis": {"commands": ["SET"] * 20}}
        assert (call.annotations or {})["db.operation.batch.size"] == 50

    def test_a_watched_transaction(self, client: redis.Redis, spans: Spans) -> None:
        with client.pipeline() as pipe:
            pipe.watch("n")
            assert pipe.get("n") is None
            client.set("n", 7)
            pipe.multi()
            pipe.set("n", 1)
            with pytest.raises(redis.WatchError):
                pipe.execute()
        calls = spans.take(4)
        assert [call.operation for call in calls] == ["WATCH", "GET", "SET", "PIPELINE"]
        assert [(call.error, call.fault) for call in calls] == [(False, False)] * 3 + [(True, False)]

    def test_a_script_that_the_server_forgot(self, client: redis.Redis, spans: Spans) -> None:
        double = client.register_script("return ARGV[1] * 2")
        assert double(args=[21]) == 42
        calls = spans.take(3)
        assert [call.operation for call in calls] == ["EVALSHA", "SCRIPT LOAD", "EVALSHA"]
        assert [(call.error, call.fault) for call in calls] == [(True, False), (False, False), (False, False)]

    def test_an_error_passes_unchanged_and_is_the_cause(self, client: redis.Redis, spans: Spans) -> None:
        client.set("text", "x")
        with pytest.raises(redis.ResponseError) as raised:
            client.incr("text")
        _, call = spans.take(2)
        assert (call.operation, call.fault) == ("INCRBY", True)
        assert call.cause is not None
        assert call.cause.exceptions[0].message == str(raised.value)

    def test_no_server(self, spans: Spans) -> None:
        once = redis.ConnectionPool(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
        with pytest.raises(redis.ConnectionError):
            redis.Redis(connection_pool=once).ping()
        ping = spans.take()[-1]  # 4.0 asks for the server's commands first
        assert (ping.operation, ping.fault) == ("PING", True)

    def test_waiting_that_brings_nothing_is_not_recorded(self, client: redis.Redis, spans: Spans) -> None:
        with recorder.begin_segment("GET /"):
            assert client.blpop("empty", timeout=1) is None
        assert spans.one().operation == "GET /"

    def test_waiting_is_recorded_below_a_span_only(self, client: redis.Redis, spans: Spans) -> None:
        client.rpush("queue", "a", "b")
        assert client.blpop("queue") == (b"queue", b"a")
        with recorder.begin_segment("GET /"):
            assert client.blpop("queue") == (b"queue", b"b")
        assert [span.operation for span in spans.take()] == ["RPUSH", "BLPOP", "GET /"]

    def test_pubsub_is_not_traced(self, client: redis.Redis, spans: Spans) -> None:
        with client.pubsub() as pubsub:
            pubsub.subscribe("news")
            assert pubsub.get_message(timeout=5)["type"] == "subscribe"
            client.publish("news", "hello")
            assert pubsub.get_message(timeout=5)["data"] == b"hello"
        assert spans.one().operation == "PUBLISH"

    def test_a_socket_and_a_url(self, client: redis.Redis, port: int, spans: Spans) -> None:
        path = client.config_get("unixsocket")["unixsocket"]
        redis.Redis(unix_socket_path=path).ping()
        redis.Redis.from_url(f"redis://localhost:{port}/0").ping()
        names = [call.name for call in spans.take() if call.operation != "COMMAND"]  # 4.0 asks for it once a client
        assert names == [NAME, f"redis@{path}", "redis@localhost"]

    def test_unsampled_is_not_recorded(self, client: redis.Redis, spans: Spans) -> None:
        with recorder.begin_segment("GET /", parent=Parent(b"\x65" * 16, 7, sampled=False)):
            client.get("a")
            client.pipeline().get("a").execute()
        assert spans.take() == []

    def test_threads_do_not_mix(self, client: redis.Redis, spans: Spans) -> None:
        def request(number: int) -> None:
            with recorder.begin_segment(f"GET /{number}"):
                client.get(f"{number}")

        threads = [threading.Thread(target=request, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        finished = spans.take(8)
        entries = {span.id: span for span in finished if not span.subsegment}
        assert len(entries) == 4
        assert {span.parent_id for span in finished if span.subsegment} == set(entries)


@pytest.mark.parametrize(
    ("command", "operation"),
    [
        ("get", "GET"),
        ("json.set", "JSON.SET"),
        ("client setname", "CLIENT SETNAME"),
        ("client no-evict on", "CLIENT NO-EVICT"),
        ("set secret-key secret-value", "SET"),
        ("config", "CONFIG"),
        ("", "OTHER"),
        ("secret!", "OTHER"),
        ("x" * 200, "OTHER"),
    ],
)
def test_the_operation_holds_no_argument(command: str, operation: str) -> None:
    assert _named(command) == operation
