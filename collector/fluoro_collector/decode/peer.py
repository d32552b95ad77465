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
# The same for keys that mean this only in calls of one service, which is named as `display_name` does. Not here, and
# so the node of the service: what a process may ask for by the hundred (parameters of SSM, metrics, messages).
_RESOURCES_OF_SERVICE: dict[str, tuple[tuple[str, str], ...]] = {
    "Athena": (("work_group", "AWS::Athena::WorkGroup"),),
    "Batch": (("job_queue", "AWS::Batch::JobQueue"),),
    "BedrockRuntime": (("model_id", "AWS::Bedrock::Model"),),
    "CloudFront": (("distribution_id", "AWS::CloudFront::Distribution"),),
    "CloudWatchLogs": (("log_group_name", "AWS::Logs::LogGroup"),),
    "CodeBuild": (("project_name", "AWS::CodeBuild::Project"),),
    "CognitoIdentityProvider": (("user_pool_id", "AWS::Cognito::UserPool"),),
    "ECS": (("cluster_name", "AWS::ECS::Cluster"),),
    "Glue": (("job_name", "AWS::Glue::Job"),),
    "Kinesis": (("stream_arn", "AWS::Kinesis::Stream"),),
    "KMS": (("key_id", "AWS::KMS::Key"),),
    "Pinpoint": (("application_id", "AWS::Pinpoint::App"),),
    "RDSData": (("database_arn", "AWS::RDS::DBCluster"),),
    "SageMakerRuntime": (("endpoint_name", "AWS::SageMaker::Endpoint"),),
    "SecretsManager": (("secret_id", "AWS::SecretsManager::Secret"),),
}
# Lists that name one resource when they have one member.
_LISTS = (("table_names", "AWS::DynamoDB::Table"), ("event_bus_names", "AWS::Events::EventBus"))
# Resources whose ARN is as good as their name: the node has the name. Queues and topics keep theirs whole.
_NAMED_WHOLE = frozenset({"queue_url", "topic_arn"})
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
        service = display_name(segment.name)
        found = _resource(segment.aws, _RESOURCES)
        if found is None and service in _RESOURCES_OF_SERVICE:
            found = _resource(segment.aws, _RESOURCES_OF_SERVICE[service])
        return found or (service, node_type(segment.name))
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
    if keys is _RESOURCES:
        for key, kind in _LISTS:
            names = aws.get(key)
            if isinstance(names, list) and len(names) == 1 and isinstance(names[0], str) and names[0]:
                return _resource_name(key, names[0]), kind
    return None


def _resource_name(key: str, value: str) -> str:
    """A resource may be given by its name or its ARN; its node is the name.

    A Lambda function may also have a partial ARN or a qualifier, a state machine a version or an alias; Secrets Manager
    ends the ARN of a secret with six characters of its own.
    """
    if key in _NAMED_WHOLE:
        return value
    if key == "function_name":
        parts = value.split(":")
        return parts[parts.index("function") + 1] if "function" in parts[:-1] else parts[0]
    arn = value.split(":", 5)
    if arn[0] != "arn" or len(arn) < 6:
        return value
    resource = arn[5]
    if key == "state_machine_arn":
        return resource.removeprefix("stateMachine:").removeprefix("express:").partition(":")[0] or value
    if key == "secret_id":
        name = resource.removeprefix("secret:")
        return name[:-7] if name[-7:-6] == "-" else name
    if key == "key_id" and resource.startswith("alias/"):
        return resource
    kind_ends = min((at for at in (resource.find("/"), resource.find(":")) if at >= 0), default=-1)
    return resource[kind_ends + 1 :] or value
