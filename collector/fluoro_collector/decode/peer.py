"""Which node of the service map a segment's call points at, when nothing on the other side sends segments."""

from __future__ import annotations

from typing import Any

from fluoro.aws_services import display_name, node_type
from fluoro.model import Kind, Segment

__all__ = ["display_name", "node_type", "peer"]

_NOBODY = ("", "")

# `aws` key that names the called resource → X-Ray's node type. The first key present decides.
_RESOURCES = (
    ("table_name", "AWS::DynamoDB::Table"),
    ("queue_url", "AWS::SQS::Queue"),
    ("topic_arn", "AWS::SNS::Topic"),
    ("bucket_name", "AWS::S3::Bucket"),
    ("function_name", "AWS::Lambda::Function"),
    ("stream_name", "AWS::Kinesis::Stream"),
    ("state_machine_arn", "AWS::StepFunctions::StateMachine"),
    ("event_bus_name", "AWS::Events::EventBus"),
    ("delivery_stream_name", "AWS::KinesisFirehose::DeliveryStream"),
)
# What a consumer can have received from.
_SOURCES = _RESOURCES[1:3] + _RESOURCES[5:6]


def peer(segment: Segment) -> tuple[str, str]:
    """(name, type) of the inferred node, ("", "") if there is none.

    A call to AWS points at the resource if the document names one (a table, a queue by its full URL, …), else at the
    service ("S3", "AWS::S3"). A call to a database is "Database::SQL", any other remote call "remote". A segment that
    consumed a message points at where the message came from.
    """
    if not segment.subsegment:
        return _source(segment) if segment.kind == Kind.CONSUMER else _NOBODY
    namespace = segment.namespace
    if namespace == "aws":
        return _resource(segment.aws, _RESOURCES) or (display_name(segment.name), node_type(segment.name))
    if segment.sql is not None:
        return segment.name, "Database::SQL"
    if namespace == "remote":
        return segment.name, "remote"
    return _NOBODY


def _source(segment: Segment) -> tuple[str, str]:
    found = _resource(segment.aws, _SOURCES)
    if found:
        return found
    annotations = segment.annotations or {}
    destination = annotations.get("messaging.destination.name") or annotations.get("messaging.destination")
    return (destination, "remote") if isinstance(destination, str) and destination else _NOBODY


def _resource(aws: dict[str, Any] | None, keys: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    if not aws:
        return None
    for key, kind in keys:
        value = aws.get(key)
        if isinstance(value, str) and value:
            return _resource_name(key, value), kind
    tables = aws.get("table_names")
    if isinstance(tables, list) and len(tables) == 1 and isinstance(tables[0], str) and keys is _RESOURCES:
        return tables[0], "AWS::DynamoDB::Table"
    return None


def _resource_name(key: str, value: str) -> str:
    """A Lambda function may be given as an ARN, a partial ARN or with a qualifier; its node is the bare name."""
    if key != "function_name":
        return value
    parts = value.split(":")
    if "function" in parts[:-1]:
        return parts[parts.index("function") + 1]
    return parts[0]
