"""How a call to AWS is recorded: display name, operation, region, request id and chosen parameters.

Which parameters is data, in `aws_operations.json`: service (botocore's name) → operation ("*": every one of the
service) → request and response parameters. An entry is "Parameter", recorded under its name in snake case,
"Parameter as name", "Parameter.member as name" (of a nested structure), or one of `keys(Parameter) as name` (the keys
of a mapping), `count(Parameter) as name` (the length of a list) and `each(Parameter.member) as name` (the distinct
texts among the members of a list; `*` is every value of a mapping). Bodies, stored values and secrets are never among
them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from fluoro.aws_services import display_name
from fluoro.instrument import _http
from fluoro.model import Http, Kind
from fluoro.recorder import Span, recorder

MAX_TEXT = 1_000  # characters of one recorded value
MAX_ITEMS = 50  # members of one recorded list or mapping
_MAX_DEPTH = 4
_MAX_MEMBERS = 100  # members of a list that `each` looks at: what DynamoDB takes in one transaction

_DATA: dict[str, Any] = json.loads(Path(__file__).with_name("aws_operations.json").read_text("utf-8"))
_PRODUCERS = frozenset((service, name) for service, names in _DATA["producers"].items() for name in names)
_THROTTLE_CODES = frozenset(_DATA["throttle_codes"])


class Item(NamedTuple):
    """One parameter to record: the `part` of it ("value", "keys", "count" or "each") under the name `target`. `inner`
    is the way from the parameter to a member of it.
    """

    parameter: str
    part: str
    target: str
    inner: tuple[str, ...] = ()


class Recorded(NamedTuple):
    """What is recorded of one operation's request and of its response."""

    request: tuple[Item, ...]
    response: tuple[Item, ...]


def call_span(service: str, service_id: str, operation: str, region: str, parameters: object) -> Span:
    """The span of one API call. `service` is botocore's name ("sqs"), `service_id` the model's ("SQS")."""
    kind = Kind.PRODUCER if (service, operation) in _PRODUCERS else Kind.CLIENT
    span = recorder.begin(display_name(service_id), operation, kind, "aws")
    if span.recording:
        fields: dict[str, Any] = {"operation": operation, "region": region}
        if isinstance(parameters, Mapping):
            _record(recorded(service, operation).request, parameters, fields)
        span.segment.aws = fields
    return span


def record_response(span: Span, service: str, operation: str, response: Mapping[str, Any]) -> None:
    """Take request id, status, retries and the response parameters of the operation from a parsed response."""
    fields = span.segment.aws
    if not span.recording or fields is None:
        return
    _record_metadata(span, fields, response)
    _record(recorded(service, operation).response, response, fields)


def record_error(span: Span, error: BaseException, response: object) -> None:
    """`error` ended the call. botocore's ClientError is judged by its HTTP status and was raised by the service;
    `response` is what that answered, None when nothing was.

    A throttling code counts as throttled whatever the status: DynamoDB answers 400. An error body under a status
    below 300 (S3 does so while it copies) is a fault; a redirect or "not modified" is neither.
    """
    if not span.recording:
        return
    if not isinstance(response, Mapping) or "ResponseMetadata" not in response:
        if isinstance(error, Exception):
            span.fail(error)
        _settle_attempts(span.segment.aws or {})
        return
    segment = span.segment
    status = _record_metadata(span, segment.aws if segment.aws is not None else {}, response)
    code = (response.get("Error") or {}).get("Code")
    if code in _THROTTLE_CODES and not segment.fault:
        segment.error = segment.throttle = True
    if status < 300:
        segment.fault = True
    span.record_exception(error, remote=True)


def count_attempt(span: Span) -> None:
    """An HTTP request is made for the call `span`. Every one but the first is a retry."""
    fields = span.segment.aws
    if span.recording and fields is not None and span.segment.namespace == "aws":
        fields["retries"] = fields.get("retries", -1) + 1


def _settle_attempts(fields: dict[str, Any]) -> None:
    if fields.get("retries") == 0:
        del fields["retries"]


def _record_metadata(span: Span, fields: dict[str, Any], response: Mapping[str, Any]) -> int:
    metadata = response.get("ResponseMetadata") or {}
    headers = metadata.get("HTTPHeaders") or {}
    request_id = metadata.get("RequestId") or headers.get("x-amzn-requestid") or headers.get("x-amz-request-id")
    if request_id:
        fields["request_id"] = request_id
    if metadata.get("HostId"):
        fields["id_2"] = metadata["HostId"]
    _settle_attempts(fields)
    if metadata.get("RetryAttempts"):
        fields["retries"] = metadata["RetryAttempts"]
    status = metadata.get("HTTPStatusCode") or 0
    length = _http.content_length(headers.get("content-length"))
    span.segment.http = Http(status=status, content_length=length)
    _http.record_status(span.segment, status)
    return int(status)


@lru_cache(maxsize=1024)
def recorded(service: str, operation: str) -> Recorded:
    """What the data file says about an operation; of one it does not name, what "*" of its service says."""
    operations = _DATA["services"].get(service, {})
    parts = [operations[name] for name in dict.fromkeys(("*", operation)) if name in operations]
    return Recorded(
        tuple(_item(entry) for part in parts for entry in part.get("request", ())),
        tuple(_item(entry) for part in parts for entry in part.get("response", ())),
    )


_ENTRY = re.compile(r"(?:(keys|count|each)\(([\w.*]+)\)|([\w.]+))(?: as (\w+))?")
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _item(entry: str) -> Item:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise ValueError(f"aws_operations.json: {entry!r} is no parameter")
    part, argument, plain, target = match.groups()
    parameter, *inner = (argument or plain).split(".")
    return Item(parameter, part or "value", target or snake_case(parameter), tuple(inner))


def snake_case(name: str) -> str:
    """`TableName` → `table_name`, `QueueOwnerAWSAccountId` → `queue_owner_aws_account_id`."""
    return _WORD_STARTS.sub("_", name).lower()


def _record(items: tuple[Item, ...], parameters: Mapping[str, Any], fields: dict[str, Any]) -> None:
    for parameter, part, target, inner in items:
        value = parameters.get(parameter)
        if value is None:
            continue
        if part == "each":
            found: dict[str, None] = {}  # in order, each once
            _collect(value, inner, found)
            if found:
                fields[target] = list(found)
            continue
        for name in inner:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None:
            continue
        if part == "value":
            fields[target] = _plain(value, _MAX_DEPTH)
        elif part == "keys" and isinstance(value, Mapping):
            fields[target] = [str(key)[:MAX_TEXT] for key in list(value)[:MAX_ITEMS]]
        elif part == "count" and isinstance(value, (list, tuple)):
            fields[target] = len(value)


def _collect(value: object, inner: tuple[str, ...], found: dict[str, None]) -> None:
    """Add the texts that `inner` leads to, from the first members of each list on the way."""
    if isinstance(value, (list, tuple)):
        for member in value[:_MAX_MEMBERS]:
            _collect(member, inner, found)
    elif not inner:
        if isinstance(value, str) and len(found) < MAX_ITEMS:
            found[value[:MAX_TEXT]] = None
    elif isinstance(value, Mapping):
        for member in list(value.values())[:MAX_ITEMS] if inner[0] == "*" else [value.get(inner[0])]:
            _collect(member, inner[1:], found)


def _plain(value: object, depth: int) -> Any:
    """`value` as JSON would hold it, cut to our limits; what has no such form is named by its type only."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth > 0 and isinstance(value, Mapping):
        return {str(key)[:MAX_TEXT]: _plain(value[key], depth - 1) for key in list(value)[:MAX_ITEMS]}
    if depth > 0 and isinstance(value, (list, tuple)):
        return [_plain(member, depth - 1) for member in value[:MAX_ITEMS]]
    return f"({type(value).__name__})"
