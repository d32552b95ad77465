"""What every instrumented gRPC client and server must do. An adapter subclasses `RpcContract` and says how to serve and call.

All messages are bytes, so no generated code is needed. The service is "shop.Payment".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from contracts.patched import PatchedContract
from fluoro.model import Kind, Segment
from fluoro.propagation import Parent
from fluoro.recorder import recorder
from fluoro.testing import Spans

SERVICE = "shop.Payment"
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")

# Status → error, throttle, fault.
OUTCOMES = {
    "INVALID_ARGUMENT": (True, False, False),
    "NOT_FOUND": (True, False, False),
    "ALREADY_EXISTS": (True, False, False),
    "PERMISSION_DENIED": (True, False, False),
    "UNAUTHENTICATED": (True, False, False),
    "FAILED_PRECONDITION": (True, False, False),
    "ABORTED": (True, False, False),
    "OUT_OF_RANGE": (True, False, False),
    "RESOURCE_EXHAUSTED": (True, True, False),
    "UNKNOWN": (False, False, True),
    "INTERNAL": (False, False, True),
    "UNAVAILABLE": (False, False, True),
    "DATA_LOSS": (False, False, True),
    "UNIMPLEMENTED": (False, False, True),
    "DEADLINE_EXCEEDED": (False, False, True),
    "CANCELLED": (False, False, False),
}


class RpcContract(PatchedContract):
    """Subclass and fill in; the tests come along.

    The methods of the service, in all four kinds as "Echo_<kind>": the answers are the requests, a single answer their
    concatenation. Besides, unary: "Refuse" aborts with the status that the request names and the details "no such card";
    "Break" raises ValueError("no such card"); "Set" sets the status NOT_FOUND and returns; "Metadata" returns the call's
    metadata, "key=value" lines. With a stream of answers: "Forever" never ends, "BreakLater" answers once and raises.
    """

    library = "grpc"

    def exchange(
        self, method: str, requests: Sequence[bytes], kind: str = "unary_unary", *, answers: int = -1, **options: Any
    ) -> list[bytes]:
        """Serve, call `method` once, and return its answers; of a stream at most `answers`, then cancel the call.
        `options` go to the stub: `metadata`, `timeout`. Raises what the client raises.
        """
        raise NotImplementedError

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_span_at_each_end(self, kind: str, spans: Spans) -> None:
        requests = [b"secret", b"too"] if kind.startswith("stream") else [b"secret"]
        with recorder.begin_segment("GET /") as entry:
            answers = self.exchange(f"Echo_{kind}", requests, kind)
            assert recorder.current() is entry
        assert answers == requests if kind.endswith("stream") else [b"".join(requests)]
        server, client, request = by_role(spans.take(3))
        assert (client.trace_id, client.parent_id) == (request.trace_id, request.id)
        assert (server.trace_id, server.parent_id) == (client.trace_id, client.id)
        assert (client.kind, client.namespace, client.subsegment) == (Kind.CLIENT, "remote", True)
        assert (server.kind, server.namespace, server.subsegment) == (Kind.SERVER, "", False)
        assert client.name.startswith("127.0.0.1:")
        assert server.name == recorder.service_name
        assert client.operation == server.operation == f"/{SERVICE}/Echo_{kind}"
        assert client.annotations == server.annotations == {"rpc.system": "grpc", "rpc.grpc.status_code": 0}
        assert outcome(client) == outcome(server) == (False, False, False)
        assert "secret" not in repr((client, server))

    def test_work_of_the_handler_is_below_its_segment(self, spans: Spans) -> None:
        self.exchange("Echo_stream_stream", [b"a", b"b"], "stream_stream")
        self.exchange("Work", [b"a"])
        self.exchange("WorkStream", [b"a"], "unary_stream")
        finished = spans.take()
        works = [span for span in finished if span.name == "work"]
        servers = {
            span.id for span in finished if span.operation.startswith(f"/{SERVICE}/Work") and not span.subsegment
        }
        assert len(works) == 3
        assert {work.parent_id for work in works} == servers
        assert len(servers) == 2

    @pytest.mark.parametrize("code", list(OUTCOMES))
    def test_the_status_decides(self, code: str, spans: Spans) -> None:
        with pytest.raises(grpc.RpcError) as raised:
            self.exchange("Refuse", [code.encode()])
        assert raised.value.code().name == code
        client, server = calls(spans.take(2))
        assert outcome(client) == outcome(server) == OUTCOMES[code]
        assert client.annotations == server.annotations
        assert (client.annotations or {})["rpc.grpc.status_code"] == grpc.StatusCode[code].value[0]
        if server.fault:
            assert messages(server) == ["no such card"]
            assert "no such card" in messages(client)[0]

    def test_a_status_that_is_set(self, spans: Spans) -> None:
        with pytest.raises(grpc.RpcError):
            self.exchange("Set", [b"x"])
        assert [outcome(call) for call in calls(spans.take(2))] == [OUTCOMES["NOT_FOUND"]] * 2

    def test_an_exception_is_the_cause(self, spans: Spans) -> None:
        with pytest.raises(grpc.RpcError) as raised:
            self.exchange("Break", [b"x"])
        assert raised.value.code() is grpc.StatusCode.UNKNOWN
        client, server = calls(spans.take(2))
        assert outcome(client) == outcome(server) == OUTCOMES["UNKNOWN"]
        assert messages(server) == ["no such card"]
        assert server.cause is not None
        assert server.cause.exceptions[0].type == "ValueError"
        assert server.cause.exceptions[0].stack

    def test_an_exception_after_the_first_answer(self, spans: Spans) -> None:
        with pytest.raises(grpc.RpcError):
            self.exchange("BreakLater", [b"x"], "unary_stream")
        client, server = calls(spans.take(2))
        assert outcome(client) == outcome(server) == OUTCOMES["UNKNOWN"]
        assert messages(server) == ["no such card"]

    def test_a_stream_that_the_client_leaves_is_no_fault(self, spans: Spans) -> None:
        assert self.exchange("Forever", [b"x"], "unary_stream", answers=2) == [b"x", b"x"]
        client, server = calls(spans.take(2))
        assert outcome(client) == outcome(server) == (False, False, False)
        assert (client.annotations or {})["rpc.grpc.status_code"] == 1

    def test_a_deadline(self, spans: Spans) -> None:
        with pytest.raises(grpc.RpcError) as raised:
            self.exchange("Forever", [b"x"], "unary_stream", timeout=0.1)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        client, server = calls(spans.take(2))
        assert outcome(client) == OUTCOMES["DEADLINE_EXCEEDED"]
        assert not server.fault

    def test_metadata_of_the_application_stays(self, spans: Spans) -> None:
        metadata = (("card", "visa"), ("traceparent", "old"), ("x-amzn-trace-id", "old"))
        (answer,) = self.exchange("Metadata", [b"x"], metadata=metadata)
        arrived = dict(line.split("=", 1) for line in answer.decode().splitlines())
        client, server = calls(spans.take(2))
        assert arrived["card"] == "visa"
        assert f"Parent={client.id:016x}" in arrived["x-amzn-trace-id"]
        assert f"{client.id:016x}" in arrived["traceparent"]
        assert server.parent_id == client.id

    def test_unsampled_is_not_recorded_and_the_decision_travels(self, spans: Spans) -> None:
        with recorder.begin_segment("GET /", parent=Parent(b"\x65" * 16, 7, sampled=False)):
            (answer,) = self.exchange("Metadata", [b"x"])
            self.exchange("Forever", [b"x"], "unary_stream", answers=1)
        assert b"Sampled=0" in answer
        assert spans.take() == []

    def test_a_method_that_there_is_not_has_no_segment(self, spans: Spans) -> None:
        with pytest.raises(grpc.RpcError):
            self.exchange("Nothing", [b"x"])
        client = spans.one()
        assert (client.kind, outcome(client)) == (Kind.CLIENT, OUTCOMES["UNIMPLEMENTED"])

    def test_sending_traces_is_not_traced(self, spans: Spans) -> None:
        method = "opentelemetry.proto.collector.trace.v1.TraceService/Export"
        assert self.exchange(method, [b"spans"]) == [b"spans"]
        assert spans.take() == []


def path_of(method: str) -> str:
    """ "Break" → "/shop.Payment/Break"; a full name stays."""
    return f"/{method}" if "/" in method else f"/{SERVICE}/{method}"


def by_role(finished: list[Segment]) -> tuple[Segment, Segment, Segment]:
    """(served call, its client's span, the entry around it) in any order."""
    entry = next(span for span in finished if span.operation == "GET /")
    client, server = calls([span for span in finished if span is not entry])
    return server, client, entry


def calls(finished: list[Segment]) -> tuple[Segment, Segment]:
    """(client's, server's) of one call."""
    client, server = sorted(finished, key=lambda span: span.kind is not Kind.CLIENT)
    return client, server


def outcome(span: Segment) -> tuple[bool, bool, bool]:
    return span.error, span.throttle, span.fault


def messages(span: Segment) -> list[str]:
    assert span.cause is not None
    return [record.message for record in span.cause.exceptions]
