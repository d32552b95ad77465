"""Spans through OpenTelemetry's API: what its specification says of them, on our recorder."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from fluoro.recorder import recorder
from fluoro.sampling import LEAVE


def test_attributes_of_every_kind(otel, tracer):
    span = tracer.start_span("step", attributes={"start": 1, "none": None})
    span.set_attribute("text", "a")
    span.set_attributes({"flag": True, "share": 0.5, "tuple": ("a", "b"), "map": {1: b"\x01"}})
    span.set_attribute("object", StatusCode.OK)
    assert span.attributes["tuple"] == ["a", "b"]
    with pytest.raises(TypeError):
        span.attributes["text"] = "b"
    span.end()
    segment = otel.one()
    assert segment.annotations == {"start": 1, "text": "a", "flag": True, "share": 0.5, "object": "StatusCode.OK"}
    assert segment.metadata["default"] == {"tuple": ["a", "b"], "map": {"1": {"base64": "AQ=="}}}


def test_what_is_read_from_a_span(otel, tracer):
    span = tracer.start_span("GET", kind=SpanKind.CLIENT, start_time=5)
    assert (span.name, span.kind, span.start_time, span.end_time, span.parent) == (
        "GET",
        SpanKind.CLIENT,
        5,
        None,
        None,
    )
    assert span.status.is_unset
    assert (span.events, span.links) == ((), ())
    assert span.resource.attributes.get("service.name") == "test"
    assert span.instrumentation_scope.name == "lib"
    context = span.get_span_context()
    assert isinstance(context, SpanContext)
    assert context is span.context
    assert (context.is_valid, context.is_remote, context.trace_flags) == (True, False, TraceFlags.SAMPLED)
    span.update_name("POST")
    span.end(end_time=9)
    segment = otel.one()
    assert (context.trace_id, context.span_id) == (int.from_bytes(segment.trace_id, "big"), segment.id)
    assert (span.end_time, segment.start, segment.end, segment.operation) == (9, 5, 9, "POST")


def test_an_ended_span_ignores_writes(otel, tracer):
    span = tracer.start_span("step")
    span.end()
    assert not span.is_recording()
    span.set_attribute("late", 1)
    span.add_event("late")
    span.add_link(SpanContext(1, 2, is_remote=True))
    span.update_name("late")
    span.set_status(StatusCode.ERROR, "late")
    span.record_exception(ValueError("late"))
    span.end()
    segment = otel.one()
    assert (segment.operation, segment.annotations, segment.events, segment.links) == ("step", None, None, None)
    assert (segment.fault, segment.cause) == (False, None)


@pytest.mark.parametrize(
    ("statuses", "fault", "text"),
    [
        ([(StatusCode.ERROR, "a")], True, "a"),
        ([(Status(StatusCode.ERROR, "a"), None)], True, "a"),
        ([(StatusCode.ERROR, "a"), (StatusCode.UNSET, None)], True, "a"),
        ([(StatusCode.ERROR, "a"), (StatusCode.ERROR, "b")], True, "b"),
        ([(StatusCode.ERROR, "a"), (StatusCode.OK, None)], False, None),
        ([(StatusCode.OK, None), (StatusCode.ERROR, "a")], False, None),
        ([(StatusCode.OK, "ignored")], False, None),
        ([], False, None),
    ],
)
def test_status(otel, tracer, statuses, fault, text):
    span = tracer.start_span("step")
    for status, description in statuses:
        span.set_status(status, description)
    assert span.status.description == text
    span.end()
    segment = otel.one()
    assert segment.fault is fault
    assert [record.message for record in (segment.cause.exceptions if segment.cause else [])] == (
        [text] if text else []
    )


def test_an_exception_that_leaves_the_block(otel, tracer):
    with pytest.raises(KeyError), tracer.start_as_current_span("outer") as outer, tracer.start_as_current_span("inner"):
        raise KeyError("k")
    assert outer.status.status_code is StatusCode.ERROR
    assert outer.status.description == "KeyError: 'k'"
    inner_segment, outer_segment = otel.take(2)
    [record] = inner_segment.cause.exceptions
    assert (record.type, record.message, inner_segment.fault) == ("KeyError", "'k'", True)
    assert record.stack[0].label.endswith("test_an_exception_that_leaves_the_block")
    assert outer_segment.cause.ref == record.id


def test_flags_that_turn_recording_of_exceptions_off(otel, tracer):
    with pytest.raises(KeyError), tracer.start_as_current_span("a", record_exception=False):
        raise KeyError
    with pytest.raises(KeyError), tracer.start_as_current_span("b", set_status_on_exception=False):
        raise KeyError
    first, second = otel.take(2)
    assert [record.stack for record in first.cause.exceptions] == [[]]  # the status's text alone
    assert first.fault
    assert second.cause.exceptions[0].stack
    assert not second.fault


@pytest.mark.parametrize("leaving", [KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
def test_an_exit_is_no_error(otel, tracer, leaving):
    with pytest.raises(leaving), tracer.start_as_current_span("step"):
        raise leaving
    segment = otel.one()
    assert (segment.fault, segment.cause) == (False, None)


def test_a_span_as_context_manager_is_not_current_and_ends(otel, tracer):
    with pytest.raises(ValueError, match="x"), tracer.start_span("step") as span:  # noqa: PT012
        assert trace.get_current_span() is not span
        raise ValueError("x")
    segment = otel.one()
    assert segment.fault
    assert segment.cause.exceptions[0].type == "ValueError"


def test_record_exception_keeps_attributes_in_an_event(otel, tracer):
    span = tracer.start_span("call", kind=SpanKind.CLIENT)
    span.record_exception(ValueError("x"), {"attempt": 2}, timestamp=7)
    span.end()
    segment = otel.one()
    assert [(record.type, record.remote) for record in segment.cause.exceptions] == [("ValueError", True)]
    assert [(event.name, event.time, event.attributes) for event in segment.events] == [
        ("exception", 7, {"attempt": 2})
    ]
    assert not segment.fault


def test_events_and_links(otel, tracer):
    other, invalid = SpanContext(1 << 100, 2, is_remote=True), SpanContext(0, 0, is_remote=True)
    span = tracer.start_span("step", links=[Link(other, {"k": ["v"]}), Link(invalid)])
    span.add_link(other)
    span.add_link(invalid)
    span.add_event("hit", {"key": "k1"}, timestamp=3)
    span.add_event("plain")
    assert [link.context.span_id for link in span.links] == [2, 2]
    span.end()
    segment = otel.one()
    assert [(link.id, link.attributes) for link in segment.links] == [(2, {"k": ["v"]}), (2, None)]
    assert segment.links[0].trace_id == (1 << 100).to_bytes(16, "big")
    assert [(event.name, event.attributes) for event in segment.events] == [("hit", {"key": "k1"}), ("plain", None)]
    assert segment.events[0].time == 3
    assert segment.events[1].time >= segment.start


def test_an_exception_written_as_an_event_is_the_cause(otel, tracer):
    span = tracer.start_span("call", kind=SpanKind.CLIENT)
    span.add_event("exception", {"exception.type": "app.Broken", "exception.message": "it broke"})
    span.set_status(StatusCode.ERROR, "less")
    span.end()
    segment = otel.one()
    [record] = segment.cause.exceptions
    assert (record.type, record.message, record.remote, segment.fault) == ("app.Broken", "it broke", True, True)
    assert [event.name for event in segment.events] == ["exception"]


def test_escaped_and_the_time_are_kept(otel, tracer):
    span, first, second = tracer.start_span("step"), ValueError("x"), ValueError("y")
    span.record_exception(first, escaped=True)
    span.record_exception(second, timestamp=9)
    span.end()
    segment = otel.one()
    assert [event.attributes for event in segment.events] == [{"exception.escaped": True}, None]
    assert segment.events[1].time == 9
    assert [record.message for record in segment.cause.exceptions] == ["x", "y"]


class Hostile(Exception):
    def __str__(self) -> str:
        raise LookupError


def test_an_exception_that_cannot_be_read_passes_unchanged(otel, tracer):
    with pytest.raises(Hostile), tracer.start_as_current_span("step"):
        raise Hostile
    segment = otel.one()
    assert (segment.fault, segment.cause.exceptions[0].type.rpartition(".")[2]) == (True, "Hostile")


def test_strange_arguments_do_not_reach_the_application(otel, tracer):
    span = tracer.start_span(7, kind="CLIENT", attributes={1: object, "n": float("nan")}, links=())
    span.set_attribute(2, [object()])
    span.add_event(3, {4: {5}})
    span.update_name(8)
    span.end()
    assert otel.one().operation == "8"


def test_names_change_until_the_end(otel, tracer):
    with tracer.start_as_current_span("GET") as span:
        span.update_name("GET /orders/{id}")
        assert span.name == "GET /orders/{id}"
    span.update_name("late")
    assert otel.one().operation == "GET /orders/{id}"


def test_no_links_may_be_none(otel, tracer):
    tracer.start_span("step", links=None).end()
    assert otel.one().links is None


def test_an_unsampled_trace_carries_ids_and_is_not_sent(otel, tracer):
    recorder.sampler = lambda *_: LEAVE
    with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER) as outer:
        assert isinstance(outer, NonRecordingSpan)
        assert not outer.is_recording()
        assert outer.get_span_context().trace_flags == TraceFlags.DEFAULT
        outer.set_attribute("k", 1)
        with tracer.start_as_current_span("inner") as inner, recorder.begin("native") as native:
            assert inner.get_span_context().trace_id == outer.get_span_context().trace_id
            assert native.segment.trace_id == outer.get_span_context().trace_id.to_bytes(16, "big")
    assert otel.take() == []
    assert recorder.current() is None


def test_decorators(otel, tracer):
    @tracer.start_as_current_span("sync")
    def twice(n: int) -> int:
        assert trace.get_current_span().name == "sync"
        return 2 * n

    @tracer.start_as_current_span("async")
    async def later(n: int) -> int:
        await asyncio.sleep(0)
        assert trace.get_current_span().name == "async"
        return n

    assert [twice(2), twice(3)] == [4, 6]
    assert asyncio.run(later(5)) == 5
    assert twice.__name__ == "twice"
    assert [segment.operation for segment in otel.take()] == ["sync", "sync", "async"]

    @tracer.start_as_current_span("generator")
    def numbers():
        """As the API's own: the span is over when the generator has been made."""
        assert trace.get_current_span() is trace.INVALID_SPAN
        yield 1

    @tracer.start_as_current_span("async generator")
    async def later_numbers():
        assert trace.get_current_span() is trace.INVALID_SPAN
        yield 1

    async def read() -> list[int]:
        return [number async for number in later_numbers()]

    assert list(numbers()) == [1]
    assert asyncio.run(read()) == [1]
    assert [segment.operation for segment in otel.take()] == ["generator", "async generator"]

    class Shop:
        @tracer.start_as_current_span("method", attributes={"n": 1})
        def price(self) -> int:
            return 8

        @staticmethod
        @tracer.start_as_current_span("static")
        async def stock() -> int:
            return 9

    assert (Shop().price(), asyncio.run(Shop.stock())) == (8, 9)
    assert asyncio.iscoroutinefunction(Shop.stock)
    assert [segment.annotations for segment in otel.take(2)] == [{"n": 1}, None]
    with pytest.raises(AssertionError, match="boom"):
        tracer.start_as_current_span("failing")(_boom)()
    assert otel.one().fault


def _boom() -> None:
    raise AssertionError("boom")


def test_end_on_exit_can_be_turned_off(otel, tracer):
    with tracer.start_as_current_span("step", end_on_exit=False) as span:
        pass
    assert otel.take() == []
    assert span.is_recording()
    span.end()
    assert otel.one().operation == "step"


def test_span_processors_see_spans(otel):
    seen = []

    class Processor:
        def on_start(self, span, parent_context=None):  # noqa: ARG002
            span.set_attribute("from.processor", True)
            seen.append(("start", span.name))

        def on_end(self, span):
            seen.append(("end", span.name, span.end_time is not None))

    trace.get_tracer_provider().add_span_processor(Processor())
    trace.get_tracer("lib").start_span("step").end()
    assert seen == [("start", "step"), ("end", "step", True)]
    assert otel.one().annotations == {"from.processor": True}
