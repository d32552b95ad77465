"""The whole X-Ray API against botocore's service model: inputs, outputs, paginators, errors, and the page that lists it."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from fluoro_collector.api.xray import shapes
from fluoro_collector.api.xray.inputs import INPUTS, path
from fluoro_collector.api.xray.operations import OPERATIONS
from fluoro_collector.ingest import Overloaded
from fluoro_collector.insights import keep
from fluoro_collector.insights.insight import Impact, Insight, Service
from fluoro_collector.store.store import Store
from query_server import Server, serving
from query_store import empty
from xray_client import xray_client

SESSION = botocore.session.get_session()
MODEL = SESSION.get_service_model("xray")
NAMES = sorted(MODEL.operation_names)
PAGED = sorted(SESSION.get_paginator_model("xray")._paginator_config)
DOCS = Path(__file__).parents[3] / "docs" / "xray-api.md"
PATTERNS = ("ResourceARN", "ServiceName", "ServiceType", "Host", "HTTPMethod", "URLPath")
RULE = {"Priority": 1, "FixedRate": 1, "ReservoirSize": 1, "Version": 1, **dict.fromkeys(PATTERNS, "*")}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "xray:*", "Resource": "*"}],
}
NO_SUCH_ARN = "arn:aws:xray:local:000000000000:group/no/ONE"

# Members that the newest model has, and older clients do not know.
NEWER = {"CloudWatchLogsConfiguration"}

# Inputs


def plain(shape: shapes.Shape) -> Any:
    """Ours, to be compared."""
    if isinstance(shape, shapes.Members):
        members = {name: plain(member) for name, member in shape.members.items()}
        return members, set(shape.required), shape.union
    if isinstance(shape, shapes.Items):
        return plain(shape.member), shape.low, shape.high
    if isinstance(shape, shapes.Pairs):
        return plain(shape.key), plain(shape.value), shape.high
    return shape


def modelled(shape: Shape | None) -> Any:
    """The same of the service model."""
    if shape is None:
        return {}, set(), False
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(shape, StructureShape):
        members = {name: modelled(member) for name, member in shape.members.items()}
        return members, set(shape.required_members), bool(shape.is_tagged_union)
    if isinstance(shape, ListShape):
        return modelled(shape.member), low or 0, high
    if isinstance(shape, MapShape):
        return modelled(shape.key), modelled(shape.value), high
    if shape.type_name == "string":
        return shapes.Text(low or 0, high, shape.metadata.get("pattern", ""), tuple(shape.metadata.get("enum", ())))
    return {
        "integer": shapes.Whole(low, high),
        "long": shapes.Whole(low, high, 64),
        "double": shapes.Real(low, high),
        "boolean": shapes.Flag(),
        "timestamp": shapes.Time(),
    }[shape.type_name]


def test_there_are_38_operations() -> None:
    assert len(NAMES) == 38
    assert sorted(INPUTS) == NAMES
    assert sorted([*OPERATIONS, "PutTraceSegments"]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_those_of_the_service_model(name: str) -> None:
    operation = MODEL.operation_model(name)
    assert path(name) == operation.http["requestUri"]
    members, required, union = modelled(operation.input_shape)
    ours, *rest = plain(INPUTS[name])
    older = {member for member in NEWER & ours.keys() if member not in members}
    assert ({member: kind for member, kind in ours.items() if member not in older}, *rest) == (members, required, union)


# Outputs


class World:
    """A collector that has one of everything."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = xray_client(server.url)
        now = int(time.time()) - 60
        self.trace = f"1-{now:08x}-{1:024x}"
        self.window = {"StartTime": now - 600, "EndTime": now + 60}
        segment = {"trace_id": self.trace, "id": f"{1:016x}", "name": "web", "start_time": now, "end_time": now + 1}
        document = json.dumps({**segment, "annotations": {"order": "A-1"}, "user": "bob", "fault": True})
        self.client.put_trace_segments(TraceSegmentDocuments=[document])
        server.state.rollup.run_once()
        self.group = self.client.create_group(GroupName="kept", FilterExpression="fault")["Group"]["GroupARN"]
        self.client.create_sampling_rule(SamplingRule={**RULE, "RuleName": "kept"})
        self.client.put_resource_policy(PolicyName="kept", PolicyDocument=json.dumps(POLICY))
        self.client.get_sampling_targets(SamplingStatisticsDocuments=[self.statistics])
        self.insight = "00000000-0000-4000-8000-000000000001"
        impact = Impact(fault=1, ok=1, total=2)
        keep.save(
            server.state.store.engine,
            [
                Insight(
                    id=self.insight,
                    group="kept",
                    group_arn=self.group,
                    root=Service("web", ""),
                    start=now // 60 * 60,
                    checked=now // 60 * 60,
                    out=now // 60 * 60,
                    usual=0.01,
                    client=impact,
                    root_impact=impact,
                    services=(Service("web", ""),),
                    touched=(Service("web", ""),),
                    summary="web fails",
                )
            ],
        )

    @property
    def statistics(self) -> dict[str, Any]:
        counts = {"RequestCount": 10, "SampledCount": 1, "BorrowCount": 1}
        return {"RuleName": "kept", "ClientID": "0" * 24, "Timestamp": time.time(), **counts}

    @cached_property
    def retrieval(self) -> str:
        return self.retrieve()

    def retrieve(self) -> str:
        return str(self.client.start_trace_retrieval(TraceIds=[self.trace], **self.window)["RetrievalToken"])

    def fresh(self, name: str) -> str:
        """The name of a group, rule or policy that a call may delete."""
        found = f"{name}-{time.monotonic_ns()}"
        if name == "group":
            self.client.create_group(GroupName=found)
        elif name == "rule":
            self.client.create_sampling_rule(SamplingRule={**RULE, "RuleName": found})
        else:
            self.client.put_resource_policy(PolicyName=found, PolicyDocument=json.dumps(POLICY))
        return found


@pytest.fixture(scope="module")
def world(opened: Store) -> Iterator[World]:
    with serving(empty(opened)) as server:
        world = World(server)
        yield world
        world.client.close()


def unique() -> str:
    return f"made-{time.monotonic_ns()}"


CALLS: dict[str, Callable[[World], dict[str, Any]]] = {
    "BatchGetTraces": lambda world: {"TraceIds": [world.trace]},
    "CancelTraceRetrieval": lambda world: {"RetrievalToken": world.retrieve()},
    "CreateGroup": lambda _: {"GroupName": unique()},
    "CreateSamplingRule": lambda _: {"SamplingRule": {**RULE, "RuleName": unique()}},
    "DeleteGroup": lambda world: {"GroupName": world.fresh("group")},
    "DeleteResourcePolicy": lambda world: {"PolicyName": world.fresh("policy")},
    "DeleteSamplingRule": lambda world: {"RuleName": world.fresh("rule")},
    "GetEncryptionConfig": lambda _: {},
    "GetGroup": lambda world: {"GroupARN": world.group},
    "GetGroups": lambda _: {},
    "GetIndexingRules": lambda _: {},
    "GetInsight": lambda world: {"InsightId": world.insight},
    "GetInsightEvents": lambda world: {"InsightId": world.insight},
    "GetInsightImpactGraph": lambda world: {"InsightId": world.insight, **world.window},
    "GetInsightSummaries": lambda world: {"GroupName": "kept", **world.window},
    "GetRetrievedTracesGraph": lambda world: {"RetrievalToken": world.retrieval},
    "GetSamplingRules": lambda _: {},
    "GetSamplingStatisticSummaries": lambda _: {},
    "GetSamplingTargets": lambda world: {"SamplingStatisticsDocuments": [world.statistics]},
    "GetServiceGraph": lambda world: {"GroupName": "kept", **world.window},
    "GetTimeSeriesServiceStatistics": lambda world: {"EntitySelectorExpression": 'service("web")', **world.window},
    "GetTraceGraph": lambda world: {"TraceIds": [world.trace]},
    "GetTraceSegmentDestination": lambda _: {},
    "GetTraceSummaries": lambda world: {"FilterExpression": 'group.name = "kept"', **world.window},
    "ListResourcePolicies": lambda _: {},
    "ListRetrievedTraces": lambda world: {"RetrievalToken": world.retrieval},
    "ListTagsForResource": lambda world: {"ResourceARN": world.group},
    "PutEncryptionConfig": lambda _: {"Type": "NONE"},
    "PutResourcePolicy": lambda _: {"PolicyName": "kept", "PolicyDocument": json.dumps(POLICY)},
    "PutTelemetryRecords": lambda _: {"TelemetryRecords": [{"Timestamp": 1}]},
    "PutTraceSegments": lambda _: {"TraceSegmentDocuments": ["{}"]},
    "StartTraceRetrieval": lambda world: {"TraceIds": [world.trace], **world.window},
    "TagResource": lambda world: {"ResourceARN": world.group, "Tags": [{"Key": "stage", "Value": "test"}]},
    "UntagResource": lambda world: {"ResourceARN": world.group, "TagKeys": ["never"]},
    "UpdateGroup": lambda _: {"GroupName": "kept"},
    "UpdateIndexingRule": lambda _: {
        "Name": "Default",
        "Rule": {"Probabilistic": {"DesiredSamplingPercentage": 50}},
    },
    "UpdateSamplingRule": lambda _: {"SamplingRuleUpdate": {"RuleName": "kept", "FixedRate": 0.5}},
    "UpdateTraceSegmentDestination": lambda _: {"Destination": "XRay"},
}
# Members of the output that must not be empty in this world.
FILLED = {
    "BatchGetTraces": "Traces",
    "GetInsightSummaries": "InsightSummaries",
    "GetServiceGraph": "Services",
    "GetTraceGraph": "Services",
    "GetTraceSummaries": "TraceSummaries",
    "GetTimeSeriesServiceStatistics": "TimeSeriesServiceStatistics",
    "GetSamplingStatisticSummaries": "SamplingStatisticSummaries",
    "ListResourcePolicies": "ResourcePolicies",
    "PutTraceSegments": "UnprocessedTraceSegments",
}


def call(world: World, name: str, members: dict[str, Any]) -> Any:
    return getattr(world.client, botocore.xform_name(name))(**members)


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_is_answered_in_the_shape_of_the_model(world: World, name: str) -> None:
    answer = call(world, name, CALLS[name](world))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    if name in FILLED:
        assert answer[FILLED[name]]


@pytest.mark.parametrize("name", PAGED)
def test_every_paginator_ends(world: World, name: str) -> None:
    pages = list(world.client.get_paginator(botocore.xform_name(name)).paginate(**CALLS[name](world)))
    assert len(pages) == 1
    assert "NextToken" not in pages[0]


# Errors


def refusal(world: World, name: str, body: Any) -> tuple[int, dict[str, str]]:
    """Status and error of a request that botocore would not send."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(world.server.url + path(name), data=data, method="POST")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=30)
    with raised.value as error:
        answer = json.load(error)
        assert error.headers["x-amzn-ErrorType"] == answer["__type"]
        return error.code, answer


def wrong(shape: shapes.Shape) -> Any:
    """What no such member can be."""
    return "text" if isinstance(shape, (shapes.Members, shapes.Pairs)) else {"neither": "text nor number"}


@pytest.mark.parametrize("name", [name for name in NAMES if INPUTS[name].members])
def test_wrong_members_are_named(world: World, name: str) -> None:
    """The two operations without members take anything."""
    shape = INPUTS[name]
    for member, inner in shape.members.items():
        status, answer = refusal(world, name, {member: wrong(inner)})
        assert (status, answer["__type"]) == (400, "InvalidRequestException")
        assert member in answer["message"]
    if shape.required:
        status, answer = refusal(world, name, {})
        assert (status, answer["__type"]) == (400, "InvalidRequestException")
        assert shape.required[0] in answer["message"]


@pytest.mark.parametrize("name", NAMES)
def test_a_busy_collector_throttles(world: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    members = CALLS[name](world)

    async def overloaded(*_: Any) -> None:
        raise Overloaded("later", 1)

    monkeypatch.setattr("fluoro_collector.api.readers.MAX_WAITING", 0)
    monkeypatch.setattr(world.server.state.ingest, "accept", overloaded)
    with pytest.raises(world.client.exceptions.ThrottledException) as raised:
        call(world, name, members)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def policies(world: World) -> Any:
    for number in range(6):
        call(world, "PutResourcePolicy", {"PolicyName": f"many{number}", "PolicyDocument": json.dumps(POLICY)})


def rules(world: World) -> Any:
    for _ in range(30):
        call(world, "CreateSamplingRule", {"SamplingRule": {**RULE, "RuleName": unique()}})


def put_policy(document: Any, **more: Any) -> Callable[[World], Any]:
    members = {"PolicyName": "kept", "PolicyDocument": json.dumps(document), **more}
    return lambda world: call(world, "PutResourcePolicy", members)


def calling(name: str, **members: Any) -> Callable[[World], Any]:
    return lambda world: call(world, name, members)


DENIED = {**POLICY, "Statement": [{**POLICY["Statement"][0], "Effect": "Deny"}]}  # type: ignore[dict-item]
GONE = {"RetrievalToken": "gone"}
PROVOKED: dict[tuple[str, str], Callable[[World], Any]] = {
    ("CreateSamplingRule", "RuleLimitExceededException"): rules,
    ("DeleteResourcePolicy", "InvalidPolicyRevisionIdException"): calling(
        "DeleteResourcePolicy", PolicyName="kept", PolicyRevisionId="x"
    ),
    ("PutResourcePolicy", "MalformedPolicyDocumentException"): put_policy([]),
    ("PutResourcePolicy", "LockoutPreventionException"): put_policy(DENIED),
    ("PutResourcePolicy", "InvalidPolicyRevisionIdException"): put_policy(POLICY, PolicyRevisionId="0"),
    ("PutResourcePolicy", "PolicySizeLimitExceededException"): put_policy({**POLICY, "Id": "x" * 5200}),
    ("PutResourcePolicy", "PolicyCountLimitExceededException"): policies,
    ("ListTagsForResource", "ResourceNotFoundException"): calling("ListTagsForResource", ResourceARN=NO_SUCH_ARN),
    ("TagResource", "ResourceNotFoundException"): calling("TagResource", ResourceARN=NO_SUCH_ARN, Tags=[]),
    ("UntagResource", "ResourceNotFoundException"): calling("UntagResource", ResourceARN=NO_SUCH_ARN, TagKeys=[]),
    ("TagResource", "TooManyTagsException"): lambda world: call(
        world,
        "TagResource",
        {"ResourceARN": world.group, "Tags": [{"Key": f"k{number}", "Value": ""} for number in range(51)]},
    ),
    ("UpdateIndexingRule", "ResourceNotFoundException"): calling(
        "UpdateIndexingRule", Name="Other", Rule={"Probabilistic": {"DesiredSamplingPercentage": 1}}
    ),
    ("CancelTraceRetrieval", "ResourceNotFoundException"): calling("CancelTraceRetrieval", **GONE),
    ("GetRetrievedTracesGraph", "ResourceNotFoundException"): calling("GetRetrievedTracesGraph", **GONE),
    ("ListRetrievedTraces", "ResourceNotFoundException"): calling("ListRetrievedTraces", **GONE),
}
# X-Ray says so without the log group of Transaction Search; here there is always a store.
NEVER = {("StartTraceRetrieval", "ResourceNotFoundException")}
GENERAL = {"InvalidRequestException", "ThrottledException"}  # provoked above, for every operation
DECLARED = sorted(
    (name, error.name)
    for name in NAMES
    for error in MODEL.operation_model(name).error_shapes
    if error.name not in GENERAL and (name, error.name) not in NEVER
)


@pytest.mark.parametrize(("name", "error"), DECLARED)
def test_every_declared_error_can_happen(world: World, name: str, error: str) -> None:
    with pytest.raises(getattr(world.client.exceptions, error)):
        PROVOKED[name, error](world)


# The page


def test_the_page_lists_every_operation() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", DOCS.read_text(), re.MULTILINE)
    assert sorted(name for name, _, _ in rows) == NAMES
    assert {status for _, status, _ in rows} <= {"full", "kept"}
    assert all(notes.strip() for _, _, notes in rows)
