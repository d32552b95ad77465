from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time

import pytest

import fluoro
from fluoro import testing
from fluoro.context import current_node
from fluoro.model import Kind
from fluoro.propagation import Parent
from fluoro.recorder import CLIENT, CONSUMER, INTERNAL, PRODUCER, Recorder, Span, new_span_id, new_trace_id, recorder
from fluoro.sampling import LEAVE, Decision

CALLER = Parent(new_trace_id(), new_span_id(), sampled=True)


def test_a_child_is_a_subsegment_of_the_current_span(spans):
    with (
        recorder.begin_segment("GET /orders") as root,
        recorder.begin("payment", "POST /pay", CLIENT, "remote") as call,
    ):
        assert recorder.current() is call
    child, entry = spans.take(2)
    assert entry is root.segment
    assert (entry.name, entry.operation, entry.kind, entry.subsegment) == ("test", "GET /orders", Kind.SERVER, False)
    assert (child.name, child.operation, child.kind, child.namespace) == ("payment", "POST /pay", Kind.CLIENT, "remote")
    assert (child.subsegment, child.trace_id, child.parent_id) == (True, entry.trace_id, entry.id)
    assert entry.start <= child.start <= child.end <= entry.end
    assert recorder.current() is None


def test_internal_work_without_a_current_span_is_a_segment_of_the_service(spans):
    with recorder.begin("nightly report"):
        pass
    segment = spans.one()
    assert (segment.name, segment.operation, segment.subsegment, segment.parent_id) == (
        "test",
        "nightly report",
        False,
        0,
    )


@pytest.mark.parametrize(("kind", "namespace"), [(CLIENT, "remote"), (INTERNAL, "aws"), (PRODUCER, "")])
def test_a_call_without_a_current_span_stays_a_lone_subsegment(spans, kind, namespace):
    with recorder.begin("S3", "PutObject", kind, namespace):
        pass
    segment = spans.one()
    assert (segment.name, segment.operation, segment.subsegment, segment.parent_id) == ("S3", "PutObject", True, 0)


def test_an_entry_starts_from_the_caller_and_never_from_the_ambient_span(spans):
    with recorder.begin("ambient") as ambient:
        with recorder.begin_segment("GET /", parent=CALLER):
            pass
        with recorder.begin_segment("poll", CONSUMER):
            pass
        assert recorder.current() is ambient
    served, polled, outer = spans.take(3)
    assert (served.trace_id, served.parent_id) == (CALLER.trace_id, CALLER.id)
    assert polled.parent_id == 0
    assert len({served.trace_id, polled.trace_id, outer.trace_id}) == 3


def test_an_entry_under_another_name_marks_what_is_below_it(spans):
    with recorder.begin_segment("GET /", name="tenant-7"), recorder.begin("work"):
        pass
    child, entry = spans.take(2)
    assert (entry.name, entry.service, child.service) == ("tenant-7", "", "tenant-7")


def test_what_is_left_undecided_upstream_is_sampled_here_and_a_decision_wins(spans):
    asked: list[str] = []

    def leave(trace_id: bytes, service: str, operation: str, method: str, url: str) -> Decision:
        asked.append(operation)
        return LEAVE

    recorder.sampler = leave
    with recorder.begin_segment("decided", parent=CALLER):
        pass
    with recorder.begin_segment("undecided", parent=CALLER._replace(sampled=None)) as span:
        assert not span.recording
        assert not span.trace.sampled
    assert asked == ["undecided"]
    assert spans.one().operation == "decided"


def test_an_unsampled_trace_is_never_sent_and_keeps_ids_for_the_header(spans):
    with recorder.begin_segment("GET /", parent=CALLER._replace(sampled=False)) as entry, recorder.begin("x") as child:
        child.annotate("a", 1)
        child.metadata("b", 2)
        child.fail(ValueError())
        assert not child.recording
        assert (child.segment.trace_id, child.segment.id) == (CALLER.trace_id, entry.segment.id)
    assert spans.take() == []


def test_without_an_installation_nothing_is_recorded_and_upstreams_decision_passes_through():
    assert recorder.sink is None
    with recorder.begin_segment("GET /", parent=CALLER) as span, recorder.begin("x") as child:
        assert not span.recording
        assert not child.recording
        assert child.trace.sampled
    assert recorder.current() is None


def test_end_is_idempotent_and_an_ended_span_takes_nothing_more(spans):
    span = recorder.begin("work")
    span.end()
    end = span.segment.end
    span.annotate("late", 1)
    span.end()
    assert spans.one().end == end
    assert span.segment.annotations is None


def test_ending_out_of_order_leaves_the_inner_span_current_and_the_outer_one_does_not_return(spans):
    root = recorder.begin("root")
    outer, inner = recorder.begin("outer"), recorder.begin("inner")
    outer.end()
    assert recorder.current() is inner
    inner.end()
    assert current_node.get() is root
    root.end()
    assert recorder.current() is None
    spans.take(3)


def test_a_span_ended_in_another_thread_is_not_the_parent_of_what_comes_next(spans):
    span = recorder.begin("request")
    thread = threading.Thread(target=span.end)
    thread.start()
    thread.join()
    with recorder.begin("next") as following:
        assert following.segment.trace_id != span.segment.trace_id
    assert recorder.current() is None
    assert len(spans.take(2)) == 2


def test_a_task_started_in_a_span_is_its_child_also_after_its_end(spans):
    async def main() -> None:
        go = asyncio.Event()

        async def background() -> None:
            await go.wait()
            with recorder.begin("later"):
                pass

        with recorder.begin_segment("GET /"):
            task = asyncio.create_task(background())
        go.set()
        await task

    asyncio.run(main())
    entry, later = spans.take(2)
    assert (later.parent_id, later.trace_id) == (entry.id, entry.trace_id)


def test_concurrent_tasks_do_not_see_each_others_spans(spans):
    async def serve(i: int) -> None:
        with recorder.begin_segment(f"request {i}"):
            await asyncio.sleep(0)
            with recorder.begin(f"work {i}"):
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(serve(i) for i in range(20)))

    asyncio.run(main())
    finished = spans.take(40)
    entries = {segment.id: segment for segment in finished if not segment.subsegment}
    for segment in finished:
        if segment.subsegment:
            assert entries[segment.parent_id].operation.split()[1] == segment.name.split()[1]


def test_a_chain_of_tasks_does_not_keep_its_old_spans_alive(spans):
    def step() -> contextvars.Context:
        with recorder.begin("link of the chain"):
            return contextvars.copy_context()

    context = contextvars.copy_context()
    for _ in range(50):
        context = context.run(step)
    gc.collect()
    live = [thing for thing in gc.get_objects() if type(thing) is Span]
    held = sum(span.segment.operation == "link of the chain" for span in live)
    assert context[current_node].ended
    assert held <= 2
    spans.take(50)


def test_start_does_not_touch_what_is_current(spans):
    with recorder.begin("a") as a:
        span = recorder.start("b", "op", CLIENT, "remote", above=a, at=5)
        assert recorder.current() is a
        span.end(at=9)
        assert recorder.current() is a
    b, _ = spans.take(2)
    assert (b.start, b.end, b.parent_id) == (5, 9, a.segment.id)


def test_an_activated_span_is_current_until_its_end(spans):
    span = recorder.start_segment("GET /", parent=CALLER)
    recorder.activate(span)
    recorder.activate(span)
    with recorder.begin("child"):
        pass
    span.end()
    assert recorder.current() is None
    child, entry = spans.take(2)
    assert child.parent_id == entry.id


def test_a_remote_parent_takes_children_and_is_not_sent(spans):
    with recorder.begin_segment("unrelated"):
        recorder.start("call", above=recorder.remote(CALLER)).end()
        recorder.start("not", above=recorder.remote(CALLER._replace(sampled=False))).end()
    call, _ = spans.take(2)
    assert (call.trace_id, call.parent_id, call.subsegment) == (CALLER.trace_id, CALLER.id, True)


class Node:
    """As fluoro.otel's: something else than a Span in the ContextVar."""

    def __init__(self, span):
        self.span = span


def test_another_kind_of_node_is_asked_for_its_span_and_restored(spans):
    with recorder.begin("root") as root:
        node = Node(root)
        token = current_node.set(node)
        assert recorder.current() is root
        with recorder.begin("child"):
            pass
        assert current_node.get() is node
        current_node.reset(token)
    empty = Node(None)
    token = current_node.set(empty)
    with recorder.begin("alone"):
        pass
    assert current_node.get() is empty
    current_node.reset(token)
    child, root_segment, alone = spans.take(3)
    assert child.parent_id == root_segment.id
    assert alone.parent_id == 0


def test_a_span_takes_two_hundred_annotations_and_then_only_new_values_for_them(spans):
    with recorder.begin("x") as span:
        for i in range(500):
            span.annotate(f"n{i}", i)
        span.annotate("n7", "again")
    annotations = spans.one().annotations
    assert len(annotations) == 200
    assert annotations["n7"] == "again"


def test_ids_are_fresh_and_a_trace_id_carries_the_time():
    assert len({new_trace_id() for _ in range(10_000)}) == 10_000
    assert all(0 < new_span_id() < 1 << 64 for _ in range(1_000))
    assert abs(int.from_bytes(new_trace_id()[:4], "big") - time.time()) < 5


def test_the_callers_trace_state_and_extras_stay_with_the_trace(spans):
    caller = CALLER._replace(trace_state="a=1", extras="Lineage=x:1", asked=True)
    with recorder.begin_segment("GET /", parent=caller), recorder.begin("x") as child:
        assert (child.trace.trace_state, child.trace.extras, child.trace.asked) == ("a=1", "Lineage=x:1", True)
    assert spans.take(2)[1].trace_state == "a=1"


def test_there_is_one_recorder_and_it_starts_unconfigured():
    assert isinstance(recorder, Recorder)
    assert Recorder().sink is None
    assert fluoro.current_trace_id() is None


def test_capture_fails_for_an_open_span():
    with pytest.raises(AssertionError, match="left open"), testing.capture():
        recorder.begin("forgotten")
    assert recorder.current() is None


def test_capture_fails_for_an_unread_segment():
    with pytest.raises(AssertionError, match="never looked at: INTERNAL 'test' 'unread'"), testing.capture():
        recorder.begin("unread").end()


def test_capture_lets_the_blocks_own_error_through():
    def fail() -> None:
        recorder.begin("open")
        raise KeyError

    with pytest.raises(KeyError), testing.capture():
        fail()


def test_take_says_what_came_instead(spans):
    recorder.begin("one").end()
    with pytest.raises(AssertionError, match="expected 2 segments, got 1"):
        spans.take(2, timeout_s=0.01)
    spans.take()
