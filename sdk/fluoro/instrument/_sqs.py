"""SQS: the trace header on what is sent, and a segment for each message that was received.

The header travels as the system attribute AWSTraceHeader, which SQS does not count as part of the message. Lambda, SNS
and X-Ray's own SDKs write and read the same one. A message that has none, and has what other tracers put among its
message attributes, is understood as well, if the application asks for those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fluoro import propagation
from fluoro.instrument import _http, _messaging
from fluoro.instrument._patch import guarded
from fluoro.propagation import Parent
from fluoro.recorder import Span

_HEADER = "AWSTraceHeader"
_ASK = ("MessageSystemAttributeNames", "AttributeNames")  # the older name came first and is what old botocore knows


def prepare(span: Span, operation: str, parameters: Any, known: Mapping[str, Any]) -> Any:
    """The parameters to call `operation` with; the application's own mapping is not changed. `known` are the members
    of the operation's input in this version of botocore. An AWSTraceHeader that the application set itself stays.
    """
    if not isinstance(parameters, dict):
        return parameters
    if operation == "SendMessage":
        return _with_header(parameters, span)
    if operation == "SendMessageBatch" and isinstance(parameters.get("Entries"), (list, tuple)):
        entries = [_with_header(entry, span) if isinstance(entry, dict) else entry for entry in parameters["Entries"]]
        return {**parameters, "Entries": entries}
    if operation == "ReceiveMessage":
        _messaging.polled(str(parameters.get("QueueUrl")))
        return _asking(parameters, known)
    return parameters


def answered(span: Span, operation: str, parameters: Any, response: dict[str, Any], region: str) -> None:
    """Before the span of a successful call ends.

    A poll that brought nothing is not recorded: an idle worker must not fill the store. Nor is one that no other work
    asked for: a worker's loop would make a trace of each, mostly waiting, and drown the queue's figures in it. What it
    brought is told by the messages' segments.
    """
    if operation != "ReceiveMessage":
        return
    messages = response.get("Messages")
    if not messages or span.segment.parent_id == 0:
        span.recording = False
    if messages and type(messages) is list:
        url = str(parameters.get("QueueUrl"))
        response["Messages"] = _messaging.Messages(messages, url, lambda taken: begin(taken, url, region))


@guarded
def ended(operation: str, parameters: Any) -> None:
    """After the span of a successful call has ended."""
    if operation == "DeleteMessage":
        _messaging.deleted([parameters.get("ReceiptHandle")])
    elif operation == "DeleteMessageBatch":
        _messaging.deleted([entry.get("ReceiptHandle") for entry in parameters.get("Entries", ())])


def begin(messages: list[dict[str, Any]], url: str, region: str) -> tuple[Span, list[str]]:
    """Open the segment of one message or of several that are worked on together; it, and their receipts."""
    fields: dict[str, Any] = {"operation": "ReceiveMessage", "region": region, "queue_url": url}
    operation = f"process {url.rpartition('/')[2]}"
    if len(messages) == 1:
        fields["message_id"] = messages[0].get("MessageId", "")
        span = _messaging.consumer_span(operation, _sender(messages[0]), fields)
    else:
        fields["message_count"] = len(messages)
        span = _messaging.batch_span(operation, [_sender(message) for message in messages], fields)
    return span, [message.get("ReceiptHandle", "") for message in messages]


def _sender(message: dict[str, Any]) -> Parent | None:
    header = message.get("Attributes", {}).get(_HEADER)
    if header:
        return propagation.parse_xray(header)
    attributes = message.get("MessageAttributes")
    if not attributes:
        return None
    return propagation.extract(lambda name: attributes.get(name, {}).get("StringValue"))


def _with_header(message: dict[str, Any], span: Span) -> dict[str, Any]:
    attributes = message.get("MessageSystemAttributes") or {}
    if not isinstance(attributes, dict) or _HEADER in attributes:
        return message
    header = {"DataType": "String", "StringValue": _http.xray_header(span)}
    return {**message, "MessageSystemAttributes": {**attributes, _HEADER: header}}


def _asking(parameters: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for the header besides what the application asks for, in the parameter that the application uses."""
    name = next((name for name in _ASK if name in parameters), None) or next(
        (name for name in _ASK if name in known), None
    )
    if name is None:
        return parameters
    asked = parameters.get(name, ())
    if not isinstance(asked, (list, tuple)) or "All" in asked or _HEADER in asked:
        return parameters
    return {**parameters, name: [*asked, _HEADER]}
