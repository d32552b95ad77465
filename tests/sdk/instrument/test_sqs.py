from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import boto3
import botocore.session
import pytest

from contracts.instrumented import instrumented
from fluoro import instrument
from fluoro.model import Kind, Segment
from fluoro.propagation import Parent, parse_xray
from fluoro.recorder import recorder
from fluoro.testing import Spans

pytestmark = pytest.mark.usefixtures("botocore_patched")


@pytest.fixture
def sqs(client: Callable[[str], Any]) -> Any:
    return client("sqs")


@pytest.fixture
def queue(sqs: Any, spans: Spans, request: pytest.FixtureRequest) -> Iterator[str]:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    spans.take(1)
    yield url
    sqs.delete_queue(QueueUrl=url)
    assert spans.take(1)[0].operation == "DeleteQueue"


def sorted_by_body(messages: Any) -> Any:
    return sorted(messages, key=lambda message: message["Body"])


def unpacked(messages: Any) -> Any:
    one, *others = messages
    return [one, *others]


def pairs(messages: Any) -> Any:
    return zip(messages, range(9), strict=False)


def send(sqs: Any, queue: str, spans: Spans, count: int = 1) -> list[Segment]:
    """Send messages, each in a request of its own; their producer spans."""
    for number in range(count):
        with recorder.begin_segment(f"POST /{number}"):
            sqs.send_message(QueueUrl=queue, MessageBody=str(number))
    return spans.take(2 * count)[::2]


def receive(sqs: Any, queue: str, **parameters: Any) -> Any:
    return sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, **parameters)


def test_a_message_is_a_segment_below_its_sender(sqs: Any, queue: str, spans: Spans) -> None:
    (sent,) = send(sqs, queue, spans)
    assert (sent.name, sent.kind, sent.operation) == ("SQS", Kind.PRODUCER, "SendMessage")
    for message in receive(sqs, queue)["Messages"]:
        recorder.begin("work").end()
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        recorder.begin("after").end()
    assert recorder.current() is None
    work, delete, after, consumed = spans.take(4)
    assert (consumed.kind, consumed.subsegment, consumed.name) == (Kind.CONSUMER, False, "shop")
    assert consumed.operation == "process orders"
    assert (consumed.trace_id, consumed.parent_id) == (sent.trace_id, sent.id)
    assert consumed.aws is not None
    assert consumed.aws["queue_url"] == queue
    assert consumed.aws["message_id"] == sent.aws["message_id"]  # type: ignore[index]
    assert {segment.parent_id for segment in (work, delete, after)} == {consumed.id}


def test_a_poll_is_recorded_only_as_part_of_other_work(sqs: Any, queue: str, spans: Spans) -> None:
    send(sqs, queue, spans)
    with recorder.begin_segment("job"):
        receive(sqs, queue)
    poll, job = spans.take(2)
    assert (poll.operation, poll.parent_id) == ("ReceiveMessage", job.id)
    assert poll.aws is not None
    assert poll.aws["message_count"] == 1


def test_each_message_of_a_batch_has_its_own(sqs: Any, queue: str, spans: Spans) -> None:
    sent = {segment.id: segment for segment in send(sqs, queue, spans, 3)}
    for message in receive(sqs, queue)["Messages"]:
        recorder.begin(f"work {message['Body']}").end()
    finished = spans.take(6)
    for work, consumed in zip(finished[::2], finished[1::2], strict=True):
        assert work.parent_id == consumed.id
        assert sent.pop(consumed.parent_id).trace_id == consumed.trace_id == work.trace_id


def test_leaving_the_loop_ends_the_segment(sqs: Any, queue: str, spans: Spans) -> None:
    send(sqs, queue, spans, 2)
    for _ in receive(sqs, queue)["Messages"]:
        break
    assert recorder.current() is None
    assert spans.one().operation == "process orders"


def test_an_exception_leaves_the_loop_unchanged(sqs: Any, queue: str, spans: Spans) -> None:
    send(sqs, queue, spans)

    def work() -> None:
        for _ in receive(sqs, queue)["Messages"]:
            raise ZeroDivisionError("the application's own")

    with pytest.raises(ZeroDivisionError, match="the application's own"):
        work()
    spans.one()


def test_by_index_until_it_is_deleted(sqs: Any, queue: str, spans: Spans) -> None:
    (sent,) = send(sqs, queue, spans)
    message = receive(sqs, queue)["Messages"][0]
    recorder.begin("work").end()
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert recorder.current() is None
    work, delete, consumed = spans.take(3)
    assert work.parent_id == delete.parent_id == consumed.id
    assert consumed.parent_id == sent.id


def test_by_index_until_the_next_poll(sqs: Any, queue: str, spans: Spans) -> None:
    send(sqs, queue, spans)
    messages = receive(sqs, queue)["Messages"]
    assert messages[0] is messages[0]
    assert messages.pop()["Body"] == "0"
    receive(sqs, queue)
    assert recorder.current() is None
    assert spans.one().operation == "process orders"


def test_an_iterator_left_hanging_does_not_reach_the_next_poll(sqs: Any, queue: str, spans: Spans) -> None:
    send(sqs, queue, spans, 2)
    iterator = iter(receive(sqs, queue)["Messages"])
    next(iterator)
    receive(sqs, queue)
    assert recorder.current() is None
    spans.one()
    del iterator
    assert spans.take() == []


def test_an_empty_poll_is_not_recorded(sqs: Any, queue: str, spans: Spans) -> None:
    assert "Messages" not in receive(sqs, queue)
    assert spans.take() == []


def test_a_failed_poll_is_recorded(sqs: Any, spans: Spans) -> None:
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        receive(sqs, "http://127.0.0.1/123456789012/none")
    assert spans.one().error


def test_the_list_is_read_without_taking_anything(sqs: Any, queue: str, spans: Spans) -> None:
    send(sqs, queue, spans, 2)
    response = receive(sqs, queue)
    messages = response["Messages"]
    plain = messages[:]
    assert isinstance(messages, list)
    assert type(plain) is list
    assert messages == plain
    assert len(messages) == 2
    assert messages
    assert plain[0] in messages
    assert json.loads(json.dumps(messages)) == plain
    for copied in (pickle.loads(pickle.dumps(messages)), copy.copy(messages), copy.deepcopy(response)["Messages"]):
        assert type(copied) is list
        assert copied == plain
    assert repr(messages) == repr(plain)
    assert spans.take() == []


def test_a_message_is_never_two_segments(sqs: Any, queue: str, spans: Spans) -> None:
    send(sqs, queue, spans, 2)
    messages = receive(sqs, queue)["Messages"]
    for _ in messages:
        assert messages[0]
    for _ in messages:
        assert recorder.current() is None
    assert len(spans.take(2)) == 2


def test_a_message_without_a_header_starts_a_trace(sqs: Any, queue: str, spans: Spans) -> None:
    instrument.uninstall()
    sqs.send_message(QueueUrl=queue, MessageBody="from elsewhere")
    with instrumented("botocore"):
        for message in receive(sqs, queue)["Messages"]:
            assert message["Body"] == "from elsewhere"
        assert spans.one().parent_id == 0
        sqs.list_queues()
        spans.take(1)
    instrument.install((), lambda: True, [row for row in instrument.TABLE if row.name == "botocore"])


def test_an_unsampled_sender_is_followed(sqs: Any, queue: str, spans: Spans) -> None:
    with recorder.begin_segment("GET /", parent=Parent(b"\x65" * 16, 7, sampled=False)):
        sqs.send_message(QueueUrl=queue, MessageBody="quiet")
    for _ in receive(sqs, queue)["Messages"]:
        recorder.begin("work").end()
    assert spans.take() == []


def test_every_entry_of_a_batch_carries_the_header(sqs: Any, queue: str, spans: Spans) -> None:
    """Seen on the wire: moto forgets the system attributes of batches."""
    bodies: list[bytes | str] = []
    sqs.meta.events.register("before-send", lambda request, **_: bodies.append(request.body))
    theirs = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-65656565-656565656565656565656565"}}
    entries: list[dict[str, Any]] = [
        {"Id": "a", "MessageBody": "a"},
        {"Id": "b", "MessageBody": "b", "MessageSystemAttributes": theirs},
    ]
    before = copy.deepcopy(entries)
    sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert entries == before
    sent = spans.one()
    assert sent.aws is not None
    assert (sent.kind, sent.aws["message_count"], sent.aws["successful_count"]) == (Kind.PRODUCER, 2, 2)
    ours, kept = trace_headers(bodies[0])
    assert kept == theirs["AWSTraceHeader"]["StringValue"]
    parent = parse_xray(ours)
    assert parent is not None
    assert (parent.trace_id, parent.id) == (sent.trace_id, sent.id)


def trace_headers(body: bytes | str) -> list[str]:
    """Of a batch on the wire: JSON, or a form as botocore before 1.31.81 sends it."""
    text = body.decode() if isinstance(body, bytes) else body
    if text.startswith("{"):
        entries = json.loads(text)["Entries"]
        return [entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"] for entry in entries]
    form = parse_qs(text)
    entry = "SendMessageBatchRequestEntry.{}.MessageSystemAttribute.1.Value.StringValue"
    return [form[entry.format(number)][0] for number in (1, 2)]


def names_of_system_attributes() -> list[str]:
    """What ReceiveMessage calls the list of them, in the botocore at hand; older ones know the first name only."""
    shape = botocore.session.get_session().get_service_model("sqs").operation_model("ReceiveMessage").input_shape
    assert shape is not None
    return [name for name in ("AttributeNames", "MessageSystemAttributeNames") if name in shape.members]


@pytest.mark.parametrize("name", names_of_system_attributes())
def test_what_the_application_asks_for_it_gets(sqs: Any, queue: str, spans: Spans, name: str) -> None:
    send(sqs, queue, spans)
    asked = ["SentTimestamp"]
    for message in receive(sqs, queue, **{name: asked})["Messages"]:
        assert set(message["Attributes"]) == {"SentTimestamp", "AWSTraceHeader"}
        assert parse_xray(message["Attributes"]["AWSTraceHeader"]) is not None
    assert asked == ["SentTimestamp"]
    spans.one()


def test_a_single_message_taken_by_a_copy_continues_its_trace(sqs: Any, queue: str, spans: Spans) -> None:
    (sent,) = send(sqs, queue, spans)
    (message,) = list(receive(sqs, queue)["Messages"])
    recorder.begin("work").end()
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert recorder.current() is None
    work, _, consumed = spans.take(3)
    assert work.parent_id == consumed.id
    assert (consumed.trace_id, consumed.parent_id) == (sent.trace_id, sent.id)


@pytest.mark.parametrize("copied", [list, tuple, sorted_by_body, unpacked, lambda messages: [*messages]])
def test_messages_taken_at_once_are_one_segment_with_links(
    sqs: Any, queue: str, spans: Spans, copied: Callable[[Any], Any]
) -> None:
    sent = send(sqs, queue, spans, 3)
    messages = copied(receive(sqs, queue)["Messages"])
    recorder.begin("work").end()
    entries = [{"Id": message["MessageId"], "ReceiptHandle": message["ReceiptHandle"]} for message in messages]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=entries[0]["ReceiptHandle"])
    assert recorder.current() is not None
    sqs.delete_message_batch(QueueUrl=queue, Entries=entries[1:])
    assert recorder.current() is None
    work, _, _, batch = spans.take(4)
    assert work.parent_id == batch.id
    assert (batch.kind, batch.parent_id, batch.operation) == (Kind.CONSUMER, 0, "process orders")
    assert batch.trace_id not in {segment.trace_id for segment in sent}
    assert batch.aws is not None
    assert batch.aws["message_count"] == 3
    assert batch.links is not None
    assert {(link.trace_id, link.id) for link in batch.links} == {(one.trace_id, one.id) for one in sent}


def test_messages_taken_at_once_end_with_the_next_poll(sqs: Any, queue: str, spans: Spans) -> None:
    send(sqs, queue, spans, 2)
    list(receive(sqs, queue)["Messages"])
    receive(sqs, queue)
    assert recorder.current() is None
    assert len(spans.one().links or ()) == 2


def test_messages_of_unsampled_senders_taken_at_once_are_not_recorded(sqs: Any, queue: str, spans: Spans) -> None:
    with recorder.begin_segment("GET /", parent=Parent(b"\x65" * 16, 7, sampled=False)):
        for body in "ab":
            sqs.send_message(QueueUrl=queue, MessageBody=body)
    list(receive(sqs, queue)["Messages"])
    recorder.begin("work").end()
    receive(sqs, queue)
    assert spans.take() == []


@pytest.mark.parametrize("lazily", [enumerate, iter, pairs, lambda messages: (one for one in messages)])
def test_a_loop_over_what_wraps_the_list_is_a_loop(
    sqs: Any, queue: str, spans: Spans, lazily: Callable[[Any], Any]
) -> None:
    sent = {segment.id for segment in send(sqs, queue, spans, 2)}
    for _ in lazily(receive(sqs, queue)["Messages"]):
        recorder.begin("work").end()
    assert recorder.current() is None
    finished = spans.take(4)
    assert {segment.parent_id for segment in finished[1::2]} == sent
    assert all(work.parent_id == consumed.id for work, consumed in zip(finished[::2], finished[1::2], strict=True))


@pytest.mark.parametrize(
    "name_and_value",
    [
        ("X-Amzn-Trace-Id", "Root=1-65656565-656565656565656565656565;Parent=0000000000000007;Sampled=1"),
        ("traceparent", "00-65656565656565656565656565656565-0000000000000007-01"),
    ],
    ids=["xray", "w3c"],
)
def test_what_other_tracers_send_is_understood(
    sqs: Any, queue: str, spans: Spans, name_and_value: tuple[str, str]
) -> None:
    name, value = name_and_value
    instrument.uninstall()
    attributes = {name: {"DataType": "String", "StringValue": value}}
    sqs.send_message(QueueUrl=queue, MessageBody="m", MessageAttributes=attributes)
    instrument.install((), lambda: True, [row for row in instrument.TABLE if row.name == "botocore"])
    for _ in receive(sqs, queue, MessageAttributeNames=["All"])["Messages"]:
        pass
    consumed = spans.one()
    assert (consumed.trace_id, consumed.parent_id) == (b"\x65" * 16, 7)


@pytest.fixture
def resource(aws_url: str, queue: str) -> Any:
    """boto3's object of the queue."""
    return boto3.resource(
        "sqs", region_name="eu-west-1", endpoint_url=aws_url, aws_access_key_id="k", aws_secret_access_key="s"
    ).Queue(queue)


def test_a_resources_message_is_a_segment_below_its_sender(resource: Any, sqs: Any, queue: str, spans: Spans) -> None:
    sent = {segment.id: segment for segment in send(sqs, queue, spans, 2)}
    for message in resource.receive_messages(MaxNumberOfMessages=10):
        assert message.body in "01"
        recorder.begin("work").end()
        message.delete()
    assert recorder.current() is None
    finished = spans.take(6)
    for work, delete, consumed in zip(finished[::3], finished[1::3], finished[2::3], strict=True):
        assert work.parent_id == delete.parent_id == consumed.id
        assert sent[consumed.parent_id].trace_id == consumed.trace_id
        assert consumed.aws is not None
        assert (consumed.aws["queue_url"], consumed.aws["region"]) == (queue, "eu-west-1")


def test_a_resources_message_by_index_until_it_is_deleted(resource: Any, sqs: Any, queue: str, spans: Spans) -> None:
    (sent,) = send(sqs, queue, spans)
    message = resource.receive_messages()[0]
    message.delete()
    assert recorder.current() is None
    delete, consumed = spans.take(2)
    assert (delete.parent_id, consumed.parent_id) == (consumed.id, sent.id)


def test_other_actions_of_resources_are_left_in_peace(resource: Any, spans: Spans) -> None:
    assert resource.receive_messages() == []
    assert resource.send_message(MessageBody="m")["MessageId"]
    assert resource.send_messages(Entries=[{"Id": "a", "MessageBody": "a"}])["Successful"]
    assert [call.operation for call in spans.take(2)] == ["SendMessage", "SendMessageBatch"]
