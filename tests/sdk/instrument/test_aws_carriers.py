"""What AWS is sent: botocore's real serialisers and validation, answered before it reaches the network."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import boto3
import botocore.session
import pytest

from contracts.aws_answer import answered
from fluoro.instrument import _aws_carriers as carriers
from fluoro.model import Segment
from fluoro.propagation import ENV_XRAY, Parent, parse_xray
from fluoro.recorder import recorder
from fluoro.testing import Spans

pytestmark = pytest.mark.usefixtures("botocore_patched")

Send = Callable[..., tuple[Any, Segment]]

THEIRS = "Root=1-65656565-656565656565656565656565;Parent=0000000000000007;Sampled=1"


@pytest.fixture
def send(spans: Spans) -> Send:
    """Make a call; what was sent as its body, and the span. What the caller passed must not be changed."""

    def call(service: str, operation: str, **parameters: Any) -> tuple[Any, Segment]:
        client = boto3.client(service, region_name="eu-west-1", aws_access_key_id="k", aws_secret_access_key="s")
        bodies: list[str] = []

        def answer(request: Any, **_: Any) -> Any:
            bodies.append(request.body.decode() if isinstance(request.body, bytes) else request.body)
            xml = service == "sns"
            return answered(200, b"<R><PublishResult/><PublishBatchResult/></R>" if xml else b"{}")

        client.meta.events.register("before-send", answer)
        before = copy.deepcopy(parameters)
        getattr(client, operation)(**parameters)
        assert parameters == before
        (body,) = bodies
        parsed = json.loads(body) if body.startswith("{") else {key: value[0] for key, value in parse_qs(body).items()}
        return parsed, spans.take(1)[0]

    return call


def belongs(header: str, call: Segment) -> bool:
    parent = parse_xray(header)
    assert parent is not None
    return (parent.trace_id, parent.id, parent.sampled) == (call.trace_id, call.id, True)


def test_every_event_carries_the_header(send: Send) -> None:
    event = {"Source": "shop", "DetailType": "sold", "Detail": "{}", "EventBusName": "sales"}
    body, call = send("events", "put_events", Entries=[event, {**event, "TraceHeader": THEIRS, "EventBusName": "b"}])
    ours, theirs = body["Entries"]
    assert belongs(ours["TraceHeader"], call)
    assert theirs["TraceHeader"] == THEIRS
    assert call.aws is not None
    assert call.aws["event_bus_names"] == ["sales", "b"]
    assert call.aws["entry_count"] == 2


@pytest.mark.parametrize("operation", ["start_execution", "start_sync_execution"])
def test_step_functions_carry_the_header(send: Send, operation: str) -> None:
    machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:order"
    body, call = send("stepfunctions", operation, stateMachineArn=machine, input='{"secret": 1}')
    assert belongs(body["traceHeader"], call)
    assert call.aws is not None
    assert call.aws["state_machine_arn"] == machine
    assert "secret" not in repr(call)
    body, _ = send("stepfunctions", operation, stateMachineArn=machine, traceHeader=THEIRS)
    assert body["traceHeader"] == THEIRS


def test_a_header_that_is_too_long_loses_what_others_added(send: Send) -> None:
    parent = Parent(b"\x65" * 16, 7, sampled=True, extras="Lineage=" + "a" * 240)
    with recorder.begin_segment("GET /", parent=parent) as entry:
        body, call = send("stepfunctions", "start_execution", stateMachineArn="arn:aws:states:e:1:stateMachine:o")
        entry.recording = False
    assert len(body["traceHeader"]) <= carriers.MAX_STEP_FUNCTIONS
    assert belongs(body["traceHeader"], call)


def test_a_published_message_has_the_header_as_attribute(send: Send) -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:news"
    body, call = send("sns", "publish", TopicArn=topic, Message="m")
    assert body["MessageAttributes.entry.1.Name"] == "X-Amzn-Trace-Id"
    assert belongs(body["MessageAttributes.entry.1.Value.StringValue"], call)
    theirs = {"X-Amzn-Trace-Id": {"DataType": "String", "StringValue": THEIRS}}
    body, _ = send("sns", "publish", TopicArn=topic, Message="m", MessageAttributes=theirs)
    assert body["MessageAttributes.entry.1.Value.StringValue"] == THEIRS


def test_a_message_is_never_one_attribute_or_byte_too_long(send: Send) -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:news"
    ten = {f"a{number}": {"DataType": "String", "StringValue": "v"} for number in range(10)}
    body, _ = send("sns", "publish", TopicArn=topic, Message="m", MessageAttributes=ten)
    assert "X-Amzn-Trace-Id" not in body.values()
    for attributes in ({}, {"big": {"DataType": "Binary", "BinaryValue": b"x" * 60_000}}):
        message = "m" if attributes else "m" * 60_001
        body, _ = send("sns", "publish", TopicArn=topic, Message=message, MessageAttributes=attributes)
        assert "X-Amzn-Trace-Id" not in body.values()


def test_every_entry_of_a_published_batch_has_the_header(send: Send) -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:news"
    entries = [{"Id": "a", "Message": "a"}, {"Id": "b", "Message": "b"}]
    body, call = send("sns", "publish_batch", TopicArn=topic, PublishBatchRequestEntries=entries)
    name = "PublishBatchRequestEntries.member.{}.MessageAttributes.entry.1.Value.StringValue"
    assert all(belongs(body[name.format(number)], call) for number in (1, 2))
    assert call.aws is not None
    assert call.aws["message_count"] == 2
    entries = [{"Id": "a", "Message": "a" * 30_001}, {"Id": "b", "Message": "b" * 30_000}]
    body, _ = send("sns", "publish_batch", TopicArn=topic, PublishBatchRequestEntries=entries)
    assert name.format(1) not in body


def test_a_glue_job_is_told_among_its_arguments(send: Send) -> None:
    body, call = send("glue", "start_job_run", JobName="nightly", Arguments={"--day": "secret"})
    assert body["Arguments"]["--day"] == "secret"
    assert belongs(body["Arguments"]["--trace-header"], call)
    assert call.aws is not None
    assert call.aws["job_name"] == "nightly"
    assert "secret" not in repr(call)
    body, _ = send("glue", "start_job_run", JobName="nightly")
    assert "Arguments" not in body


@pytest.mark.parametrize("operation", ["start_build", "start_build_batch"])
def test_a_build_has_the_header_in_its_environment(send: Send, operation: str) -> None:
    own = {"name": "STAGE", "value": "secret"}
    body, call = send("codebuild", operation, projectName="site", environmentVariablesOverride=[own])
    first, ours = body["environmentVariablesOverride"]
    assert first == own
    assert (ours["name"], ours["type"]) == ("_X_AMZN_TRACE_ID", "PLAINTEXT")
    assert belongs(ours["value"], call)
    assert "secret" not in repr(call)
    body, _ = send("codebuild", operation, projectName="site")
    assert len(body["environmentVariablesOverride"]) == 1


def test_what_is_repeated_by_token_stays_the_same(send: Send) -> None:
    body, _ = send("codebuild", "start_build", projectName="site", idempotencyToken="t")
    assert "environmentVariablesOverride" not in body
    task = {"overrides": {"containerOverrides": [{"name": "web"}]}, "clientToken": "t"}
    span = recorder.start("call", above=recorder.start_segment("GET /"))
    assert carriers.prepare(span, "ecs", "RunTask", task) is task


@pytest.mark.parametrize("operation", ["run_task", "start_task"])
def test_a_task_has_the_header_in_the_containers_it_overrides(send: Send, operation: str) -> None:
    more = {"containerInstances": ["i"]} if operation == "start_task" else {}
    theirs = {"name": "side", "environment": [{"name": "_X_AMZN_TRACE_ID", "value": THEIRS}]}
    overrides = {"containerOverrides": [{"name": "web", "command": ["secret"]}, theirs], "cpu": "256"}
    body, call = send("ecs", operation, cluster="main", taskDefinition="web:3", overrides=overrides, **more)
    web, side = body["overrides"]["containerOverrides"]
    (variable,) = web.pop("environment")
    assert web == {"name": "web", "command": ["secret"]}
    assert variable["name"] == "_X_AMZN_TRACE_ID"
    assert belongs(variable["value"], call)
    assert side == theirs
    assert call.aws is not None
    assert (call.aws["cluster_name"], call.aws["task_definition"]) == ("main", "web:3")
    assert "secret" not in repr(call)
    body, _ = send("ecs", operation, taskDefinition="web", **more)
    assert "overrides" not in body
    long = {"containerOverrides": [{"name": "web", "command": ["x" * carriers.MAX_OVERRIDES]}]}
    body, _ = send("ecs", operation, taskDefinition="web", overrides=long, **more)
    assert body["overrides"] == long


OVERRIDES: dict[str, Callable[[Any], Any]] = {
    "containerOverrides": lambda one: one,
    "nodeOverrides": lambda one: {"nodePropertyOverrides": [{"targetNodes": "0", "containerOverrides": one}]},
    "ecsPropertiesOverride": lambda one: {"taskProperties": [{"containers": [one]}]},
}


def overrides_of_batch() -> list[str]:
    """Those that the botocore at hand knows; the last is newer than the oldest."""
    shape = botocore.session.get_session().get_service_model("batch").operation_model("SubmitJob").input_shape
    assert shape is not None
    return [name for name in OVERRIDES if name in shape.members]


@pytest.mark.parametrize("name", overrides_of_batch())
def test_a_job_has_the_header_in_the_containers_it_overrides(send: Send, name: str) -> None:
    override = OVERRIDES[name]({"environment": [{"name": "STAGE", "value": "test"}]})
    body, call = send("batch", "submit_job", jobName="j", jobQueue="q", jobDefinition="d", **{name: override})
    assert belongs(_find_variable(body), call)
    assert call.aws is not None
    assert call.aws["job_queue"] == "q"


def test_a_pod_has_the_header_too(send: Send) -> None:
    override = {"podProperties": {"containers": [{"env": [{"name": "STAGE", "value": "test"}]}]}}
    body, call = send(
        "batch", "submit_job", jobName="j", jobQueue="q", jobDefinition="d", eksPropertiesOverride=override
    )
    _, ours = body["eksPropertiesOverride"]["podProperties"]["containers"][0]["env"]
    assert belongs(ours["value"], call)


def test_a_job_without_overrides_gets_none(send: Send) -> None:
    body, _ = send("batch", "submit_job", jobName="j", jobQueue="q", jobDefinition="d")
    assert set(body) == {"jobName", "jobQueue", "jobDefinition"}


def test_odd_parameters_are_botocores_business() -> None:
    """What botocore will refuse reaches it as it was."""
    span = recorder.start("call", above=recorder.start_segment("GET /"))
    for parameters in (
        {"Entries": "odd"}, {"Entries": [1]}, {"PublishBatchRequestEntries": None}, {"MessageAttributes": []},
        {"Arguments": 1}, {"environmentVariablesOverride": 7}, {"overrides": 1}, {"containerOverrides": []},
        {"overrides": {"containerOverrides": 1}}, {"containerOverrides": {"environment": 1}}, [], None,
    ):  # fmt: skip
        for service, operation in carriers._CARRIERS:
            sent = carriers.prepare(span, service, operation, parameters)
            if isinstance(parameters, dict):
                assert {key: sent[key] for key in parameters} == parameters
            else:
                assert sent is parameters


def _find_variable(value: Any) -> str:
    if isinstance(value, dict):
        if value.get("name") == ENV_XRAY:
            return str(value["value"])
        value = list(value.values())
    if isinstance(value, list):
        return "".join(_find_variable(member) for member in value)
    return ""
