"""Our spans and OpenTelemetry's in one context."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

import fluoro
from fluoro.recorder import recorder


def tree(segments) -> dict[str, str]:
    """Each segment's label → its parent's."""
    label = {segment.id: segment.name if segment.subsegment else segment.operation for segment in segments}
    return {label[segment.id]: label.get(segment.parent_id, "") for segment in segments}


def test_spans_of_both_kinds_nest_in_each_other(otel, tracer):
    with recorder.begin_segment("entry"):
        with tracer.start_as_current_span("a"), fluoro.span("b"), tracer.start_as_current_span("c"), fluoro.span("d"):
            with fluoro.span("e"):
                tracer.start_span("f").end()
            tracer.start_span("h").end()
        with fluoro.span("g"):
            pass
    segments = otel.take()
    assert tree(segments) == {
        "f": "e",
        "h": "d",
        "e": "d",
        "d": "c",
        "c": "b",
        "b": "a",
        "a": "entry",
        "g": "entry",
        "entry": "",
    }
    assert len({segment.trace_id for segment in segments}) == 1


def test_nothing_is_current_outside(tracer, otel):
    assert trace.get_current_span() is INVALID_SPAN
    assert context.get_current() == {}
    with tracer.start_as_current_span("a") as span:
        assert trace.get_current_span() is span
    assert trace.get_current_span() is INVALID_SPAN
    assert recorder.current() is None
    otel.take(1)


def test_the_current_span_of_our_own_can_be_written_through_the_api(otel):
    with recorder.begin_segment("GET /"):
        with recorder.begin("work"):
            work = trace.get_current_span()
            assert work.is_recording()
            assert (work.name, work.kind) == ("work", SpanKind.INTERNAL)
            work.set_attribute("items", 3)
            work.set_attribute("list", [1, 2])
            work.add_event("hit")
            work.update_name("renamed")
            work.set_status(trace.StatusCode.ERROR, "went wrong")
            assert work.attributes == {"items": 3}
        entry = trace.get_current_span()
        entry.update_name("GET /orders")
    work_segment, entry_segment = otel.take(2)
    assert (work_segment.name, work_segment.annotations, work_segment.fault) == ("renamed", {"items": 3}, True)
    assert work_segment.metadata == {"default": {"list": [1, 2]}}
    assert work_segment.cause.exceptions[0].message == "went wrong"
    assert [event.name for event in work_segment.events] == ["hit"]
    assert (entry_segment.name, entry_segment.operation, entry_segment.fault) == ("test", "GET /orders", False)


def test_our_annotations_on_a_span_of_the_api(otel, tracer):
    with tracer.start_as_current_span("step", attributes={"a": 1}):
        fluoro.annotate("b", 2)
        fluoro.metadata("c", [3])
    segment = otel.one()
    assert segment.annotations == {"a": 1, "b": 2}
    assert segment.metadata["default"] == {"c": [3]}


def test_other_keys_survive_spans_of_both_kinds(otel, tracer):
    token = context.attach(baggage.set_baggage("user", "bob"))
    with tracer.start_as_current_span("a"), recorder.begin("b"):
        inner = context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        with tracer.start_as_current_span("c"):
            assert baggage.get_baggage("user") == "bob"
            assert context.get_value(_SUPPRESS_INSTRUMENTATION_KEY)
        context.detach(inner)
        assert context.get_value(_SUPPRESS_INSTRUMENTATION_KEY) is None
        assert baggage.get_baggage("user") == "bob"
    context.detach(token)
    assert baggage.get_baggage("user") is None
    assert tree(otel.take()) == {"c": "b", "b": "a", "a": ""}


def test_an_attached_context_without_a_span_hides_the_current_one(otel, tracer):
    with tracer.start_as_current_span("a"):
        token = context.attach(Context())
        assert trace.get_current_span() is INVALID_SPAN
        recorder.begin("root").end()
        context.detach(token)
        recorder.begin("child").end()
    root, child, a = otel.take(3)
    assert root.trace_id != a.trace_id
    assert child.parent_id == a.id


def test_the_context_passed_in_decides_the_parent(otel, tracer):
    with tracer.start_as_current_span("a") as a, tracer.start_as_current_span("b"):
        tracer.start_span("under a", trace.set_span_in_context(a)).end()
        tracer.start_span("root", Context()).end()
    segments = otel.take()
    assert tree(segments) == {"under a": "a", "root": "", "b": "a", "a": ""}


def test_use_span_makes_a_span_current(otel, tracer):
    span = tracer.start_span("a")
    with trace.use_span(span, end_on_exit=True):
        assert trace.get_current_span() is span
        recorder.begin("b").end()
    assert tree(otel.take()) == {"b": "a", "a": ""}


def test_a_server_span_is_a_segment_also_below_a_span_of_this_process(otel, tracer):
    with tracer.start_as_current_span("outer", kind=SpanKind.CLIENT) as outer:
        tracer.start_span("GET /", kind=SpanKind.SERVER).end()
    served, call = otel.take(2)
    assert not served.subsegment
    assert (served.parent_id, served.trace_id) == (call.id, call.trace_id)
    assert outer.get_span_context().span_id == call.id


@pytest.mark.parametrize(("flags", "sent"), [(TraceFlags.SAMPLED, 3), (TraceFlags.DEFAULT, 0)])
def test_a_span_of_somebody_else_is_a_parent_like_a_caller(otel, tracer, flags, sent):
    foreign = NonRecordingSpan(SpanContext(7 << 96, 9, is_remote=True, trace_flags=TraceFlags(flags)))
    token = context.attach(trace.set_span_in_context(foreign))
    assert trace.get_current_span() is foreign
    with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER):
        pass
    tracer.start_span("GET", kind=SpanKind.CLIENT).end()
    recorder.begin("native").end()
    context.detach(token)
    segments = otel.take()
    assert len(segments) == sent
    assert {(segment.trace_id, segment.parent_id) for segment in segments} <= {((7 << 96).to_bytes(16, "big"), 9)}


def test_tasks_inherit_and_do_not_disturb_each_other(otel, tracer):
    async def work(name: str) -> None:
        with tracer.start_as_current_span(name), recorder.begin(f"{name} below"):
            await asyncio.sleep(0)

    async def main() -> None:
        with tracer.start_as_current_span("root"):
            await asyncio.gather(work("a"), work("b"))

    asyncio.run(main())
    assert tree(otel.take()) == {"a below": "a", "b below": "b", "a": "root", "b": "root", "root": ""}


def test_detach_in_another_context_is_silent(otel, tracer, caplog):
    """An async generator that is closed by another task than the one that started it."""
    caplog.set_level(logging.DEBUG)
    generator_context = contextvars.copy_context()
    manager = tracer.start_as_current_span("stream")
    generator_context.run(manager.__enter__)
    assert trace.get_current_span() is INVALID_SPAN
    manager.__exit__(None, None, None)
    otel.take(1)

    token = generator_context.run(context.attach, context.set_value("k", 1))
    inherited = generator_context.copy()
    inherited.run(context.detach, token)
    assert inherited.run(context.get_value, "k") is None
    context.detach(token)
    context.detach(token)
    context.detach("nonsense")
    assert caplog.records == []


def test_tokens_from_before_installation_are_taken_back(otel):
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("other", default=0)
    token = variable.set(1)
    context.detach(token)
    assert variable.get() == 0


def test_threads_start_without_a_span(otel, tracer):
    found = []
    with tracer.start_as_current_span("a"):
        thread = threading.Thread(target=lambda: found.append(trace.get_current_span()))
        thread.start()
        thread.join()
    assert found == [INVALID_SPAN]
    otel.take(1)
