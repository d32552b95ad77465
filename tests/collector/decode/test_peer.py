from __future__ import annotations

from typing import Any

import pytest

from fluoro.model import Kind, Segment, Sql
from fluoro_collector.decode.peer import display_name, node_type, peer


def call(name: str, **fields: Any) -> Segment:
    return Segment(bytes(16), 1, 0, name, 0, **({"subsegment": True, "kind": Kind.CLIENT} | fields))


def aws(name: str, **section: Any) -> Segment:
    return call(name, namespace="aws", aws=section)


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
    ]:
        model = session.get_service_model(service)
        names = {service, model.endpoint_prefix, str(model.service_id)}
        assert len({display_name(name) for name in names}) == 1, names
