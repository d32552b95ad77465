from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from contracts.aws_answer import answered
from fluoro.instrument import _aws
from fluoro.testing import Spans

SESSION = botocore.session.get_session()


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
    assert set(_aws._DATA["services"]) <= set(SESSION.get_available_services())


def _reaches(shape: Shape | None, inner: tuple[str, ...]) -> bool:
    """Whether botocore's model of a parameter has the member that `inner` leads to, through lists and mappings."""
    while isinstance(shape, ListShape):
        shape = shape.member
    if not inner:
        return shape is not None
    if isinstance(shape, MapShape):
        return True  # its keys are data
    if not isinstance(shape, StructureShape):
        return False
    if inner[0] == "*":
        return any(_reaches(member, inner[1:]) for member in shape.members.values())
    return inner[0] in shape.members and _reaches(shape.members[inner[0]], inner[1:])


@pytest.mark.parametrize("service", sorted(_aws._DATA["services"]))
def test_the_data_names_what_exists(service: str) -> None:
    """Every service, operation and parameter in the data file is one of botocore's models."""
    model = SESSION.get_service_model(service)
    for operation in _aws._DATA["services"][service]:
        known = list(model.operation_names) if operation == "*" else [operation]
        assert set(known) <= set(model.operation_names), operation
        operations = [model.operation_model(name) for name in known]
        recorded, common = _aws.recorded(service, operation), _aws.recorded(service, "*")
        for items, ours, shapes in (
            (recorded.request, common.request, [one.input_shape for one in operations]),
            (recorded.response, common.response, [one.output_shape for one in operations]),
        ):
            for item in items[len(ours) if operation != "*" else 0 :]:
                way = (item.parameter, *item.inner)
                assert any(_reaches(shape, way) for shape in shapes), f"{service} {operation}: {way}"


# Parameters that hold what people store, write or are. Lower case; "key" is S3's name of an object.
FORBIDDEN = """
    accesstoken answer apikey attributevalues authparameters blob body challengeresponses ciphertextblob clientcontext
    clientmetadata command confirmationcode content credentials customattributes data destination emailaddress entries
    environment environmentvariablesoverride expressionattributevalues filterpattern hyperparameters input inputtext item
    items logevents logins mail message messagebody messages metricdata output parameter parameters parametersets
    password payload phonenumber plaintext policy prompt promptvariables querystring record records rawmessage result
    results secretbinary secrethash secretstring session sql statement string stringvalue subject system tasktoken
    templatedata text token tokencode username userattributes value values webidentitytoken
    """


def test_nothing_is_recorded_that_could_be_a_secret_or_a_value() -> None:
    for service, operations in _aws._DATA["services"].items():
        for operation in operations:
            recorded = _aws.recorded(service, operation)
            for item in (*recorded.request, *recorded.response):
                way = [name.lower() for name in (item.parameter, *item.inner)]
                if item.part in {"value", "each"}:
                    assert way[-1] not in FORBIDDEN.split(), f"{service} {operation}: {item}"
                if item.part == "keys":
                    assert way[-1] in {"requestitems", "itemcollectionmetrics", "messageattributes", "attributes"}


def test_a_nested_value_is_a_plain_one() -> None:
    """What is recorded whole must be no structure or list of structures, beside a few that hold definitions only."""
    definitions = {
        "AttributeDefinitions", "ConsumedCapacity", "GlobalSecondaryIndexUpdates", "GlobalSecondaryIndexes",
        "LocalSecondaryIndexes", "ProvisionedThroughput",
    }  # fmt: skip
    for service, operations in _aws._DATA["services"].items():
        model = SESSION.get_service_model(service)
        for operation in operations:
            names = model.operation_names if operation == "*" else [operation]
            recorded = _aws.recorded(service, operation)
            for name in names:
                one = model.operation_model(name)
                for items, shape in ((recorded.request, one.input_shape), (recorded.response, one.output_shape)):
                    for item in items:
                        if item.part == "value" and not item.inner and item.parameter not in definitions:
                            found = shape.members.get(item.parameter) if shape is not None else None
                            leaf = found.member if isinstance(found, ListShape) else found
                            assert not isinstance(leaf, (StructureShape, MapShape)), f"{service} {name}: {item}"
                            assert leaf is None or leaf.type_name != "blob", f"{service} {name}: {item}"


XRAY = json.loads(
    files("aws_xray_sdk.ext").joinpath("resources/aws_para_whitelist.json").read_text("utf-8"),
)["services"]
BOTOCORES_NAME = {"runtime.sagemaker": "sagemaker-runtime"}


def test_xrays_list_is_what_we_think() -> None:
    assert sum(len(service["operations"]) for service in XRAY.values()) == 105


@pytest.mark.parametrize("service", sorted(XRAY))
def test_everything_xrays_sdk_records_is_recorded(service: str) -> None:
    """Each operation and parameter of the X-Ray SDK's list has its equivalent: the same parameter, or a part of it."""
    for operation, theirs in XRAY[service]["operations"].items():
        ours = _aws.recorded(BOTOCORES_NAME.get(service, service), operation)
        for items, kind in ((ours.request, "request"), (ours.response, "response")):
            names = {item.parameter.lower() for item in items}
            descriptors = theirs.get(f"{kind}_descriptors", {})
            asked = {*theirs.get(f"{kind}_parameters", ()), *descriptors}
            assert {name.lower() for name in asked} <= names, f"{service} {operation} {kind}"
            targets = {item.target for item in items}
            assert {one["rename_to"] for one in descriptors.values()} <= targets, f"{service} {operation}"


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


def test_members_of_what_is_nested() -> None:
    fields: dict[str, object] = {}
    items = tuple(
        _aws._item(entry)
        for entry in (
            "build.id as build_id",
            "each(Entries.Bus) as buses",
            "each(Many.*.Table) as tables",
            "a.b as none",
        )
    )
    sent = {
        "build": {"id": "shop:7", "environment": "secret"},
        "Entries": [{"Bus": "one"}, {"Bus": "two", "Detail": "secret"}, {"Bus": "one"}, {}, "odd"],
        "Many": [{"Put": {"Table": "orders", "Item": "secret"}}, {"Delete": {"Table": "stock"}}],
        "a": "no mapping",
    }
    _aws._record(items, sent, fields)
    assert fields == {"build_id": "shop:7", "buses": ["one", "two"], "tables": ["orders", "stock"]}


@pytest.mark.usefixtures("botocore_patched")
def test_bedrock_says_the_model_and_the_tokens_and_no_word(client: Callable[[str], Any], spans: Spans) -> None:
    bedrock = client("bedrock-runtime")
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": "secret"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}, "metrics": {"latencyMs": 1},
    }  # fmt: skip
    bedrock.meta.events.register("before-send", lambda **_: answered(200, json.dumps(answer).encode()))
    bedrock.converse(
        modelId="m", messages=[{"role": "user", "content": [{"text": "secret"}]}], inferenceConfig={"maxTokens": 9}
    )
    call = spans.one()
    recorded = call.aws
    assert recorded is not None
    assert (call.name, recorded["model_id"], recorded["max_tokens"]) == ("BedrockRuntime", "m", 9)
    assert (recorded["input_tokens"], recorded["output_tokens"], recorded["stop_reason"]) == (3, 5, "end_turn")
    assert "secret" not in repr(call)
