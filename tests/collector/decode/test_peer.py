from __future__ import annotations

from typing import Any

import pytest

from fluoro.instrument import _aws
from fluoro.model import Kind, Segment, Sql
from fluoro_collector.decode.peer import (
    _LISTS,
    _RESOURCES,
    _RESOURCES_OF_SERVICE,
    display_name,
    node_type,
    peer,
)


def call(name: str, **fields: Any) -> Segment:
    return Segment(bytes(16), 1, 0, name, 0, **({"subsegment": True, "kind": Kind.CLIENT} | fields))


def aws(service: str, /, **section: Any) -> Segment:
    return call(service, namespace="aws", aws=section)


@pytest.mark.parametrize(
    ("segment", "node"),
    [
        (aws("dynamodb", table_name="orders"), ("orders", "AWS::DynamoDB::Table")),
        (aws("DynamoDB", table_names=["orders"]), ("orders", "AWS::DynamoDB::Table")),
        (aws("DynamoDB", table_names=["a", "b"]), ("DynamoDB", "AWS::DynamoDB")),
        (aws("DynamoDB", table_names=[3], table_name=""), ("DynamoDB", "AWS::DynamoDB")),
        (aws("sqs", queue_url="http://q/1/orders"), ("http://q/1/orders", "AWS::SQS::Queue")),
        (aws("SNS", topic_arn="arn:t"), ("arn:t", "AWS::SNS::Topic")),
        (aws("S3", bucket_name="images", key="k"), ("images", "AWS::S3::Bucket")),
        (aws("Lambda", function_name="resize"), ("resize", "AWS::Lambda::Function")),
        (aws("Lambda", function_name="resize:prod"), ("resize", "AWS::Lambda::Function")),
        (
            aws("Lambda", function_name="arn:aws:lambda:eu-west-1:1:function:resize:3"),
            ("resize", "AWS::Lambda::Function"),
        ),
        (aws("Lambda", function_name="1:function:resize"), ("resize", "AWS::Lambda::Function")),
        (aws("kinesis", stream_name="clicks"), ("clicks", "AWS::Kinesis::Stream")),
        (aws("states", state_machine_arn="arn:s"), ("arn:s", "AWS::StepFunctions::StateMachine")),
        (
            aws("states", state_machine_arn="arn:aws:states:eu-west-1:1:stateMachine:order:live"),
            ("order", "AWS::StepFunctions::StateMachine"),
        ),
        (aws("events", event_bus_name="arn:aws:events:e:1:event-bus/sales"), ("sales", "AWS::Events::EventBus")),
        (aws("EventBridge", event_bus_names=["sales"]), ("sales", "AWS::Events::EventBus")),
        (aws("events", event_bus_names=["a", "b"]), ("Events", "AWS::Events")),
        (aws("dynamodb", table_name="arn:aws:dynamodb:e:1:table/orders"), ("orders", "AWS::DynamoDB::Table")),
        (aws("dynamodb", table_names=[""]), ("DynamoDB", "AWS::DynamoDB")),
        (aws("kinesis", stream_arn="arn:aws:kinesis:e:1:stream/clicks"), ("clicks", "AWS::Kinesis::Stream")),
        (aws("secretsmanager", secret_id="prod/db"), ("prod/db", "AWS::SecretsManager::Secret")),
        (
            aws("secretsmanager", secret_id="arn:aws:secretsmanager:e:1:secret:prod/db-a1B2c3"),
            ("prod/db", "AWS::SecretsManager::Secret"),
        ),
        (aws("kms", key_id="arn:aws:kms:e:1:key/12-34"), ("12-34", "AWS::KMS::Key")),
        (aws("kms", key_id="arn:aws:kms:e:1:alias/db"), ("alias/db", "AWS::KMS::Key")),
        (aws("kms", key_id="alias/db"), ("alias/db", "AWS::KMS::Key")),
        (aws("ssm", name="/db/password"), ("SSM", "AWS::SSM")),
        (aws("ecs", cluster_name="arn:aws:ecs:e:1:cluster/main"), ("main", "AWS::ECS::Cluster")),
        (aws("batch", job_queue="arn:aws:batch:e:1:job-queue/low", job_name="j"), ("low", "AWS::Batch::JobQueue")),
        (aws("glue", job_name="nightly"), ("nightly", "AWS::Glue::Job")),
        (aws("batch", job_name="nightly"), ("Batch", "AWS::Batch")),
        (aws("codebuild", project_name="site"), ("site", "AWS::CodeBuild::Project")),
        (aws("rds-data", database_arn="arn:aws:rds:e:1:cluster:shop"), ("shop", "AWS::RDS::DBCluster")),
        (aws("bedrock-runtime", model_id="m:0"), ("m:0", "AWS::Bedrock::Model")),
        (aws("runtime.sagemaker", endpoint_name="score"), ("score", "AWS::SageMaker::Endpoint")),
        (aws("logs", log_group_name="shop"), ("shop", "AWS::Logs::LogGroup")),
        (aws("kms", key_id="arn:aws:kms:e:1:"), ("arn:aws:kms:e:1:", "AWS::KMS::Key")),
        (aws("ec2", cluster_name="main", key_id="k"), ("EC2", "AWS::EC2")),
        (aws("SimpleSystemsManagement"), ("SSM", "AWS::SSM")),
        (call("sts", namespace="aws"), ("STS", "AWS::STS")),
        (call("shop@db", namespace="remote", sql=Sql()), ("shop@db", "Database::SQL")),
        (call("payment:8003", namespace="remote"), ("payment:8003", "remote")),
        (call("price"), ("", "")),
        (call("shop", subsegment=False, kind=Kind.SERVER, aws={"queue_url": "q"}), ("", "")),
        (call("w", subsegment=False, kind=Kind.CONSUMER, aws={"queue_url": "q"}), ("q", "AWS::SQS::Queue")),
        (call("w", subsegment=False, kind=Kind.CONSUMER, aws={"table_name": "t"}), ("", "")),
        (
            call("w", subsegment=False, kind=Kind.CONSUMER, annotations={"messaging.destination.name": "orders"}),
            ("orders", "remote"),
        ),
        (call("w", subsegment=False, kind=Kind.CONSUMER), ("", "")),
    ],
)
def test_the_node_a_segment_points_at(segment: Segment, node: tuple[str, str]):
    assert peer(segment) == node


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("SSM", "ssm SSM SimpleSystemsManagement AWSSimpleSystemsManagement"),
        ("StepFunctions", "states SFN StepFunctions AWSStepFunctions"),
        ("DynamoDB", "dynamodb DynamoDB DynamoDBv2 AmazonDynamoDBv2 DynamoDb AWS::DynamoDB AWS.SDK.DynamoDB"),
        ("SecretsManager", "secretsmanager SecretsManager AWSSecretsManager"),
        ("SES", "email SES sesv2 AmazonSimpleEmailService"),
        ("Events", "events EventBridge"),
        ("CloudWatch", "monitoring CloudWatch AmazonCloudWatch"),
        ("STS", "sts SecurityToken AWSSecurityTokenService"),
        ("SageMakerRuntime", "runtime.sagemaker"),
    ],
)
def test_every_tracers_name_for_a_service_is_one_name(name: str, spellings: str):
    assert {display_name(spelling) for spelling in spellings.split()} == {name}
    assert {node_type(spelling) for spelling in spellings.split()} == {f"AWS::{name}"}


def test_names_with_spaces_and_services_nobody_listed():
    assert display_name("Secrets Manager") == "SecretsManager"
    assert display_name("Amazon Braket") == "Braket"
    assert display_name("AWS.SDK.Braket Two") == "BraketTwo"
    assert display_name("aws") == "aws"
    assert display_name("###") == "###"


def test_botocores_three_names_of_each_service_are_one():
    session = pytest.importorskip("botocore.session").get_session()
    for service in [
        "dynamodb",
        "sqs",
        "sns",
        "s3",
        "lambda",
        "stepfunctions",
        "events",
        "ssm",
        "secretsmanager",
        "kms",
        "sts",
        "kinesis",
        "logs",
        "ses",
        "sesv2",
        "firehose",
        "rds-data",
        "ecs",
        "batch",
        "glue",
        "codebuild",
        "pinpoint",
        "health",
        "shield",
        "cloudfront",
        "elbv2",
        "bedrock-runtime",
        "sagemaker",
        "sagemaker-runtime",
        "athena",
        "cognito-idp",
        "cognito-identity",
        "cloudwatch",
        "apigateway",
        "scheduler",
        "pipes",
        "transcribe",
    ]:
        model = session.get_service_model(service)
        names = {service, model.endpoint_prefix, str(model.service_id)}
        assert len({display_name(name) for name in names}) == 1, names


def test_the_sdk_names_the_resources_that_are_looked_for():
    """What the SDK records of a service's calls and what makes its nodes meet in these names."""
    session = pytest.importorskip("botocore.session").get_session()
    recorded: dict[str, set[str]] = {}
    for service, operations in _aws._DATA["services"].items():
        name = display_name(str(session.get_service_model(service).service_id))
        for operation in operations:
            found = _aws.recorded(service, operation)
            recorded.setdefault(name, set()).update(item.target for item in (*found.request, *found.response))
    for service, keys in _RESOURCES_OF_SERVICE.items():
        assert {key for key, _ in keys} <= recorded[service], service
    everything = set().union(*recorded.values())
    assert {key for key, _ in (*_RESOURCES, *_LISTS)} <= everything
