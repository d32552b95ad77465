from __future__ import annotations

import botocore
import botocore.session
import pytest

from fluoro.instrument import _aws

SESSION = botocore.session.get_session()
KNOWN = set(SESSION.get_available_services())
BOTOCORE = tuple(int(part) for part in botocore.__version__.split(".")[:2])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TableName", "table_name"),
        ("QueueOwnerAWSAccountId", "queue_owner_aws_account_id"),
        ("stateMachineArn", "state_machine_arn"),
        ("modelId", "model_id"),
        ("MD5OfBody", "md5_of_body"),
    ],
)
def test_snake_case(name: str, expected: str) -> None:
    assert _aws.snake_case(name) == expected


def test_every_service_of_the_data_exists() -> None:
    """Bedrock is newer than the oldest botocore we patch."""
    missing = set(_aws._DATA["services"]) - KNOWN
    assert missing <= ({"bedrock-runtime"} if BOTOCORE < (1, 32) else set())


@pytest.mark.parametrize("service", sorted(set(_aws._DATA["services"]) & KNOWN))
def test_the_data_names_what_exists(service: str) -> None:
    """Every service, operation and parameter in the data file is one of botocore's models."""
    model = SESSION.get_service_model(service)
    for operation in _aws._DATA["services"][service]:
        known = list(model.operation_names) if operation == "*" else [operation]
        assert set(known) <= set(model.operation_names), operation
        operations = [model.operation_model(name) for name in known]
        inputs = {name for one in operations if one.input_shape for name in one.input_shape.members}
        outputs = {name for one in operations if one.output_shape for name in one.output_shape.members}
        recorded, common = _aws.recorded(service, operation), _aws.recorded(service, "*")
        own = operation != "*"
        assert {item.parameter for item in recorded.request[own and len(common.request) :]} <= inputs, operation
        assert {item.parameter for item in recorded.response[own and len(common.response) :]} <= outputs, operation


def test_producers_exist() -> None:
    for service, operation in _aws._PRODUCERS:
        assert operation in SESSION.get_service_model(service).operation_names


def test_values_are_bounded_and_bytes_left_out() -> None:
    fields: dict[str, object] = {}
    items = tuple(_aws.Item(name, "value", name) for name in ("text", "list", "bytes", "deep"))
    deep: dict[str, object] = {}
    deep["self"] = deep
    _aws._record(items, {"text": "x" * 5_000, "list": list(range(500)), "bytes": b"secret", "deep": deep}, fields)
    assert len(str(fields["text"])) == _aws.MAX_TEXT
    assert fields["list"] == list(range(_aws.MAX_ITEMS))
    assert fields["bytes"] == "(bytes)"
    assert "secret" not in repr(fields)
