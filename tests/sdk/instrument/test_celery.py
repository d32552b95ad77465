"""Celery: messages sent from here, worked on by a real worker with a prefork pool under `fluoro run`.

Everything is sent once, the worker is stopped, and the tests look at what arrived: all of it, each exactly once.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import celery.app.trace
import pytest
from celery import Celery, chain, chord, group
from celery.beat import ScheduleEntry, Scheduler
from kombu.exceptions import EncodeError

from batch_sink import BatchSink
from celery_shop import app, charge, fail, flaky, ignore, order, reject, ship, total
from contracts.instrumented import instrumented
from contracts.patched import PatchedContract
from fluoro.model import Kind, Segment
from fluoro.propagation import Parent
from fluoro.recorder import recorder
from fluoro.testing import Spans, capture
from servers.process import running
from servers.rabbitmq import rabbitmq
from servers.redis import redis_server

TESTS = Path(__file__).parents[2]
WAIT_S = 30


class Story(NamedTuple):
    """What was recorded: by the sender, and by the worker. `of(name)` tells one part of it."""

    sent: list[Segment]
    worked: list[Segment]

    def of(self, name: str) -> tuple[list[Segment], list[Segment]]:
        """(messages sent from here, the worker's segments) of the trace that began as `name`."""
        entry = next(span for span in self.sent if span.operation == name)
        sent = [span for span in self.sent if span.trace_id == entry.trace_id and span is not entry]
        worked = [span for span in self.worked if span.trace_id == entry.trace_id]
        assert all(span.parent_id == entry.id for span in sent)
        return sent, worked


def tell() -> None:
    """Send everything, and wait for what has a result."""
    with recorder.begin_segment("one"):
        assert charge.delay("secret").get(WAIT_S) == "secret"
    with recorder.begin_segment("by name"):
        app.send_task("shop.charge", (1,), headers={"card": "visa"}, queue="urgent").get(WAIT_S)
    with recorder.begin_segment("routed"):
        ship.delay().get(WAIT_S)
    with recorder.begin_segment("chain"):
        chain(charge.si(1), charge.si(2)).delay().get(WAIT_S)
    with recorder.begin_segment("group"):
        group(charge.s(number) for number in range(3)).delay().get(WAIT_S)
    with recorder.begin_segment("chord"):
        assert chord([charge.s(1), charge.s(2)])(total.s()).get(WAIT_S) == 3
    with recorder.begin_segment("nested"):
        order.delay().get(WAIT_S)
    with recorder.begin_segment("failure"), pytest.raises(ValueError, match="no such card"):
        fail.delay().get(WAIT_S)
    with recorder.begin_segment("retry"):
        assert flaky.delay().get(WAIT_S) == 1
    with recorder.begin_segment("ignored"):
        ignore.delay()
    with recorder.begin_segment("rejected"):
        reject.delay()
    with recorder.begin_segment("unsampled", parent=Parent(b"\x65" * 16, 7, sampled=False)):
        charge.delay(1).get(WAIT_S)
    entry = ScheduleEntry("nightly", "shop.charge", args=(1,), app=app, schedule=60)
    Scheduler(app, lazy=True).apply_async(entry, advance=False).get(WAIT_S)


@pytest.fixture(scope="module")
def results() -> Iterator[str]:
    """Where results are kept, whatever the broker is: an application does not change its backend."""
    with redis_server() as port:
        yield f"redis://127.0.0.1:{port}/1"
        gc.collect()  # a result that nobody waited for unsubscribes when it goes, and needs the server for it
        app.backend.result_consumer.stop()
        app.backend.client.connection_pool.disconnect()


@pytest.fixture(scope="module", params=["redis", pytest.param("rabbitmq", marks=pytest.mark.matrix)])
def story(request: Any, results: str, tmp_path_factory: Any) -> Iterator[Story]:
    with ExitStack() as stack:
        broker = stack.enter_context(rabbitmq()) if request.param == "rabbitmq" else f"{results[:-1]}0"
        sink = BatchSink()
        sink.start()
        log = tmp_path_factory.mktemp("worker") / "worker.log"
        env = {
            "PYTHONPATH": f"{TESTS.parent / 'sdk'}{os.pathsep}{TESTS}",
            "CELERY_SHOP_BROKER": broker,
            "CELERY_SHOP_RESULTS": results,
            "FLUORO_SERVICE_NAME": "cashier",
            "FLUORO_ENDPOINT": sink.url,
        }
        options = ["-c", "2", "--pool", "prefork", "-Q", "celery,urgent,parcels", "-l", "info", "--without-mingle"]
        worker = [sys.executable, "-m", "celery", "-A", "celery_shop", "worker", *options]
        app.conf.update(broker_url=broker, result_backend=results)
        command = [sys.executable, "-m", "fluoro", "run", *worker]
        with (
            running(command, lambda: b" ready." in log.read_bytes(), log=log, env=env, cwd=log.parent),
            instrumented("celery"),
            capture("shop") as spans,
        ):
            tell()
            sink.wait_for(lambda: {"shop.ignore", "shop.reject"} <= {span.operation for span in sink.segments})
            app.pool.force_close_all()
            app._pool = app.amqp._producer_pool = None  # the next broker gets its own
            sent = spans.take()
        sink.stop()
        yield Story(sent, sink.segments)


def consumers(worked: list[Segment]) -> list[Segment]:
    return sorted((span for span in worked if span.kind == Kind.CONSUMER), key=lambda span: span.start)


def test_a_message_carries_the_trace(story: Story) -> None:
    (message,), worked = story.of("one")
    (task,) = consumers(worked)
    assert (message.name, message.operation) == ("celery", "send shop.charge")
    assert (message.kind, message.namespace, message.subsegment) == (Kind.PRODUCER, "remote", True)
    assert message.annotations == {"messaging.system": "celery", "messaging.destination.name": "celery"}
    assert (task.name, task.operation, task.subsegment) == ("cashier", "shop.charge", False)
    assert task.parent_id == message.id
    assert not task.fault
    annotations = task.annotations or {}
    assert annotations["messaging.system"] == "celery"
    assert annotations["messaging.destination.name"] == "celery"
    assert len(str(annotations["messaging.message.id"])) == 36
    assert "secret" not in repr((message, worked))


def test_storing_the_result_belongs_to_the_task(story: Story) -> None:
    _, worked = story.of("one")
    (task,) = consumers(worked)
    stored = [span for span in worked if span is not task]
    assert {span.name for span in stored} == {"redis@127.0.0.1"}
    assert {span.parent_id for span in stored} == {task.id}


@pytest.mark.parametrize(("part", "queue"), [("by name", "urgent"), ("routed", "parcels")])
def test_the_queue_is_the_one_it_goes_to(story: Story, part: str, queue: str) -> None:
    (message,), worked = story.of(part)
    (task,) = consumers(worked)
    assert message.name == queue
    assert (task.annotations or {})["messaging.destination.name"] == queue


def test_a_chain_is_one_trace(story: Story) -> None:
    (message,), worked = story.of("chain")
    first, second = consumers(worked)
    (link,) = (span for span in worked if span.kind == Kind.PRODUCER)
    assert (first.parent_id, link.parent_id, second.parent_id) == (message.id, first.id, link.id)


def test_a_group_sends_a_message_for_each(story: Story) -> None:
    messages, worked = story.of("group")
    assert len(messages) == 3
    assert {span.parent_id for span in consumers(worked)} == {message.id for message in messages}


def test_a_chord_ends_in_its_body(story: Story) -> None:
    messages, worked = story.of("chord")
    tasks = consumers(worked)
    (body,) = (span for span in tasks if span.operation == "shop.total")
    (link,) = (span for span in worked if span.kind == Kind.PRODUCER)
    assert len(messages) == 2
    assert len(tasks) == 3
    assert body.parent_id == link.id
    assert link.parent_id in {task.id for task in tasks if task is not body}


def test_what_a_task_sends_is_below_it(story: Story) -> None:
    _, worked = story.of("nested")
    outer, inner = consumers(worked)
    (link,) = (span for span in worked if span.kind == Kind.PRODUCER)
    assert (link.parent_id, inner.parent_id) == (outer.id, link.id)


def test_a_failure_is_a_fault_with_its_cause(story: Story) -> None:
    (message,), worked = story.of("failure")
    (task,) = consumers(worked)
    assert (message.fault, task.fault) == (False, True)
    assert task.cause is not None
    record = task.cause.exceptions[0]
    assert (record.type, record.message) == ("ValueError", "no such card")
    assert record.stack[0].label == "fail"
    assert (task.annotations or {})["celery.state"] == "FAILURE"


def test_each_attempt_is_a_segment_and_a_retry_is_no_fault(story: Story) -> None:
    _, worked = story.of("retry")
    first, second = consumers(worked)
    assert (first.fault, second.fault) == (False, False)
    assert (first.annotations or {})["celery.state"] == "RETRY"
    assert (second.annotations or {})["celery.retries"] == 1
    (link,) = (span for span in worked if span.kind == Kind.PRODUCER)
    assert (link.parent_id, second.parent_id) == (first.id, link.id)


@pytest.mark.parametrize(("part", "state"), [("ignored", "IGNORED"), ("rejected", "REJECTED")])
def test_a_message_that_is_put_aside_is_no_fault(story: Story, part: str, state: str) -> None:
    (task,) = consumers(story.of(part)[1])
    assert not task.fault
    assert (task.annotations or {})["celery.state"] == state


def test_unsampled_is_recorded_nowhere(story: Story) -> None:
    assert [span for span in story.sent + story.worked if span.trace_id == b"\x65" * 16] == []


def test_a_schedule_begins_a_trace(story: Story) -> None:
    (message,) = (span for span in story.sent if span.kind == Kind.PRODUCER and span.parent_id == 0)
    (task,) = consumers([span for span in story.worked if span.trace_id == message.trace_id])
    assert task.parent_id == message.id


def test_everything_arrives_exactly_once_and_nothing_else(story: Story) -> None:
    ids = [span.id for span in story.worked]
    assert len(ids) == len(set(ids))
    assert len(consumers(story.worked)) == 19
    # What the worker does for itself (polls, heartbeats, acknowledgements) is nobody's trace. But newer versions store
    # a result for the rejected message, in the main process.
    traces = {span.trace_id for span in story.sent}
    others = [span for span in story.worked if span.trace_id not in traces]
    assert {span.operation for span in others} <= {"GET", "PIPELINE"}
    assert all(span.metadata == {"redis": {"commands": ["SETEX", "PUBLISH"]}} for span in others if span.metadata)


class TestInThisProcess(PatchedContract):
    library = "celery"

    def originals(self) -> list[Any]:
        return [Celery.send_task, celery.app.trace.build_tracer]

    def test_an_eager_task_is_a_part_of_its_caller(self, spans: Spans) -> None:
        with recorder.begin_segment("GET /") as entry:
            assert charge.apply((5,)).get() == 5
        task, _ = spans.take(2)
        assert (task.name, task.kind, task.subsegment) == ("shop.charge", Kind.INTERNAL, True)
        assert task.parent_id == entry.segment.id

    def test_an_eager_failure(self, spans: Spans) -> None:
        assert fail.apply().failed()
        with pytest.raises(ValueError, match="no such card"):
            fail.apply(throw=True)
        assert flaky.apply().get() == 1
        assert ignore.apply().state == "IGNORED"
        finished = spans.take()
        assert [span.fault for span in finished if span.operation == "shop.fail"] == [True, True]
        assert not any(span.fault for span in finished if span.operation != "shop.fail")

    def test_a_message_that_cannot_be_sent(self, spans: Spans) -> None:
        away = Celery("away", broker="memory://")
        with pytest.raises(EncodeError):
            away.send_task("shop.charge", (object(),))
        span = spans.one()
        assert (span.name, span.fault) == ("celery", True)
