"""Tags, encryption, resource policies, indexing rules, destination and telemetry through boto3."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests

from query_server import Server

RULE = {
    "RuleName": "checkout",
    "Priority": 1,
    "FixedRate": 1,
    "ReservoirSize": 1,
    "Version": 1,
    **dict.fromkeys(("ResourceARN", "ServiceName", "ServiceType", "Host", "HTTPMethod", "URLPath"), "*"),
}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/12345678-1234-1234-1234-123456789012"


def tag(key: str, value: str = "") -> dict[str, str]:
    return {"Key": key, "Value": value}


def policy(*statements: dict[str, Any], **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "xray:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **each} for each in statements], **more})


def put(api: Any, name: str = "mine", document: str = policy({}), **more: Any) -> dict[str, Any]:
    return api.put_resource_policy(PolicyName=name, PolicyDocument=document, **more)["ResourcePolicy"]


# Tags


@pytest.fixture(params=["group", "rule", "default group", "default rule"])
def tagged(request: pytest.FixtureRequest, api: Any) -> str:
    """The ARN of something that can have tags, and has none."""
    if request.param == "group":
        return str(api.create_group(GroupName="slow")["Group"]["GroupARN"])
    if request.param == "rule":
        made = api.create_sampling_rule(SamplingRule=RULE)
        return str(made["SamplingRuleRecord"]["SamplingRule"]["RuleARN"])
    return f"arn:aws:xray:local:000000000000:{request.param.replace('default ', '').replace('rule', 'sampling-rule')}/Default"


def tags(api: Any, arn: str) -> dict[str, str]:
    pages = api.get_paginator("list_tags_for_resource").paginate(ResourceARN=arn)
    return {each["Key"]: each["Value"] for page in pages for each in page["Tags"]}


def test_tags_come_and_go(api: Any, tagged: str) -> None:
    assert tags(api, tagged) == {}
    api.tag_resource(ResourceARN=tagged, Tags=[tag("Stage", "test"), tag("Gr\u00f6\u00dfe 1:/=+-@._", "")])
    api.tag_resource(ResourceARN=tagged, Tags=[tag("Stage", "prod"), tag("stage", "x")])
    assert tags(api, tagged) == {"Gr\u00f6\u00dfe 1:/=+-@._": "", "Stage": "prod", "stage": "x"}
    api.untag_resource(ResourceARN=tagged, TagKeys=["stage", "never"])
    assert tags(api, tagged).keys() == {"Gr\u00f6\u00dfe 1:/=+-@._", "Stage"}


def test_tags_are_given_with_the_resource_and_stay_with_it(api: Any) -> None:
    group = api.create_group(GroupName="slow", Tags=[tag("a", "1")])["Group"]["GroupARN"]
    made = api.create_sampling_rule(SamplingRule=RULE, Tags=[tag("b", "2")])["SamplingRuleRecord"]
    rule = made["SamplingRule"]["RuleARN"]
    api.update_group(GroupName="slow", FilterExpression="fault")
    api.update_sampling_rule(SamplingRuleUpdate={"RuleName": "checkout", "FixedRate": 0})
    assert (tags(api, group), tags(api, rule)) == ({"a": "1"}, {"b": "2"})
    api.delete_group(GroupName="slow")
    with pytest.raises(api.exceptions.ResourceNotFoundException):
        tags(api, group)


def test_fifty_tags_and_no_more(api: Any, tagged: str) -> None:
    api.tag_resource(ResourceARN=tagged, Tags=[tag(f"key{number}") for number in range(50)])
    api.tag_resource(ResourceARN=tagged, Tags=[tag("key7", "again")])
    with pytest.raises(api.exceptions.TooManyTagsException) as raised:
        api.tag_resource(ResourceARN=tagged, Tags=[tag("more")])
    assert raised.value.response["ResourceName"] == tagged
    assert len(tags(api, tagged)) == 50


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ([tag("aws:x")], "reserved"),
        ([tag("AWS:x")], "reserved"),
        ([tag("a"), tag("a", "2")], "twice"),
        ([tag("a<b")], "letters, digits"),
        ([tag("a", "b\x00")], "letters, digits"),
    ],
)
def test_tags_that_are_refused(api: Any, given: list[dict[str, str]], match: str) -> None:
    arn = api.get_group(GroupName="Default")["Group"]["GroupARN"]
    for refused in (
        lambda: api.tag_resource(ResourceARN=arn, Tags=given),
        lambda: api.create_group(GroupName="slow", Tags=given),
        lambda: api.create_sampling_rule(SamplingRule=RULE, Tags=given),
    ):
        with pytest.raises(api.exceptions.InvalidRequestException, match=match):
            refused()
    assert tags(api, arn) == {}
    assert len(api.get_groups()["Groups"]) == len(api.get_sampling_rules()["SamplingRuleRecords"]) == 1


def test_only_groups_and_rules_have_tags(api: Any) -> None:
    arn = "arn:aws:xray:local:000000000000:group/no/ONE"
    for refused in (
        lambda: api.tag_resource(ResourceARN=arn, Tags=[tag("a")]),
        lambda: api.untag_resource(ResourceARN=arn, TagKeys=["a"]),
        lambda: api.list_tags_for_resource(ResourceARN=arn),
    ):
        with pytest.raises(api.exceptions.ResourceNotFoundException) as raised:
            refused()
        assert raised.value.response["ResourceName"] == arn
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


# Encryption


def test_the_encryption_config_is_kept(api: Any) -> None:
    assert api.get_encryption_config()["EncryptionConfig"] == {"Type": "NONE", "Status": "ACTIVE"}
    for key in (KEY, "alias/mine", "12345678-1234-1234-1234-123456789012", f"{KEY.rpartition(':')[0]}:alias/mine"):
        put = api.put_encryption_config(Type="KMS", KeyId=key)["EncryptionConfig"]
        assert put == {"Type": "KMS", "KeyId": key, "Status": "ACTIVE"}
        assert api.get_encryption_config()["EncryptionConfig"] == put
    api.put_encryption_config(Type="NONE")
    assert "KeyId" not in api.get_encryption_config()["EncryptionConfig"]


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({"Type": "KMS"}, "KeyId must be"),
        ({"Type": "KMS", "KeyId": "mine"}, "KeyId must be"),
        ({"Type": "NONE", "KeyId": "alias/mine"}, "left out"),
    ],
)
def test_encryption_configs_that_are_refused(api: Any, members: dict[str, str], match: str) -> None:
    with pytest.raises(api.exceptions.InvalidRequestException, match=match):
        api.put_encryption_config(**members)


# Resource policies


def test_a_policy_has_revisions(api: Any) -> None:
    before = time.time()
    first = put(api)
    assert (first["PolicyName"], first["PolicyDocument"], first["PolicyRevisionId"]) == ("mine", policy({}), "1")
    assert before - 1 <= first["LastUpdatedTime"].timestamp() <= time.time()
    second = put(api, document=policy({}, {}), PolicyRevisionId="1")
    assert second["PolicyRevisionId"] == "2"
    assert put(api)["PolicyRevisionId"] == "3"
    for wrong in ("0", "2", "x"):
        with pytest.raises(api.exceptions.InvalidPolicyRevisionIdException):
            put(api, PolicyRevisionId=wrong)
        with pytest.raises(api.exceptions.InvalidPolicyRevisionIdException):
            api.delete_resource_policy(PolicyName="mine", PolicyRevisionId=wrong)
    with pytest.raises(api.exceptions.InvalidPolicyRevisionIdException):
        put(api, "other", PolicyRevisionId="1")
    put(api, "other", PolicyRevisionId="0")
    pages = api.get_paginator("list_resource_policies").paginate()
    listed = [each for page in pages for each in page["ResourcePolicies"]]
    assert [(each["PolicyName"], each["PolicyRevisionId"]) for each in listed] == [("mine", "3"), ("other", "1")]
    api.delete_resource_policy(PolicyName="mine", PolicyRevisionId="3")
    api.delete_resource_policy(PolicyName="other")
    assert api.list_resource_policies()["ResourcePolicies"] == []
    with pytest.raises(api.exceptions.InvalidRequestException, match="there is no"):
        api.delete_resource_policy(PolicyName="mine")
    with pytest.raises(api.exceptions.InvalidRequestException, match="NextToken"):
        api.list_resource_policies(NextToken="x")


def test_policies_are_limited_in_size_and_number(api: Any) -> None:
    long = policy({"Sid": "x" * 5000})
    fits = policy({"Sid": "x" * (5000 - len(long) + 5120)})
    assert len(fits) == 5120
    put(api, document=fits)
    with pytest.raises(api.exceptions.PolicySizeLimitExceededException):
        put(api, document=fits + " ")
    for number in range(4):
        put(api, f"more{number}")
    with pytest.raises(api.exceptions.PolicyCountLimitExceededException):
        put(api, "sixth")
    put(api, "more1")


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        "{}",
        policy(),
        policy({}, Version="2020-01-01"),
        policy({}, Statement="x"),
        policy({}, Statement=[1]),
        policy({"Effect": "Maybe"}),
        policy({"Action": 1}),
        policy({"Action": ["a", ""]}),
        policy({"Principal": "me"}),
        policy({"NotAction": "b"}),
        policy({"Extra": 1}),
        json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]}),
        "[" * 5000,
    ],
)
def test_a_malformed_policy(api: Any, document: str) -> None:
    with pytest.raises(api.exceptions.MalformedPolicyDocumentException, match="PolicyDocument: "):
        put(api, document=document)


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": ["arn:aws:iam::1:root", "*"]}, "Action": ["xray:Get*", "xray:Put*"]}, True),
        ({"Action": "XRAY:putresourcepolic?"}, True),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}, False),
        ({"Principal": {"Service": "sns.amazonaws.com"}}, False),
        ({"Action": "xray:PutTraceSegments"}, False),
        ({"Action": "[a-z]*"}, False),
        ({"Condition": {"Bool": {"aws:SecureTransport": "false"}}}, False),
        ({"Effect": "Allow"}, False),
    ],
)
def test_a_policy_that_would_lock_everybody_out(api: Any, statement: dict[str, Any], refused: bool) -> None:
    document = policy({"Effect": "Deny", **statement})
    if refused:
        with pytest.raises(api.exceptions.LockoutPreventionException):
            put(api, document=document)
        put(api, document=document, BypassPolicyLockoutCheck=True)
    else:
        put(api, document=document)


def test_not_action_locks_out_unless_it_spares_policies(api: Any) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Resource": "*"}
    spares, denies = (
        json.dumps({"Version": "2012-10-17", "Statement": {**statement, "NotAction": action}})
        for action in ("xray:PutResourcePolicy", "xray:Get*")
    )
    put(api, document=spares)
    with pytest.raises(api.exceptions.LockoutPreventionException):
        put(api, document=denies)


# Indexing and destination


def test_the_indexing_rule_is_kept_and_everything_is_indexed(api: Any) -> None:
    [rule] = api.get_indexing_rules()["IndexingRules"]
    everything = {"DesiredSamplingPercentage": 100.0, "ActualSamplingPercentage": 100.0}
    assert (rule["Name"], rule["Rule"]["Probabilistic"]) == ("Default", everything)
    before = time.time()
    wanted = {"Probabilistic": {"DesiredSamplingPercentage": 5}}
    updated = api.update_indexing_rule(Name="Default", Rule=wanted)["IndexingRule"]
    assert updated["Rule"]["Probabilistic"] == {**everything, "DesiredSamplingPercentage": 5.0}
    assert updated["ModifiedAt"].timestamp() >= before - 1
    assert api.get_indexing_rules()["IndexingRules"] == [updated]
    with pytest.raises(api.exceptions.ResourceNotFoundException):
        api.update_indexing_rule(Name="Other", Rule=wanted)
    for wrong in (-1, 100.5):
        with pytest.raises(api.exceptions.InvalidRequestException, match="between 0 and 100"):
            api.update_indexing_rule(Name="Default", Rule={"Probabilistic": {"DesiredSamplingPercentage": wrong}})
    with pytest.raises(api.exceptions.InvalidRequestException, match="NextToken"):
        api.get_indexing_rules(NextToken="x")


def test_the_destination_is_kept(api: Any) -> None:
    def destination() -> tuple[str, str]:
        answer = api.get_trace_segment_destination()
        return answer["Destination"], answer["Status"]

    def update(**members: Any) -> tuple[int, Any]:
        """By hand: older versions of boto3 do not know CloudWatchLogsConfiguration."""
        url = f"{api.meta.endpoint_url}/UpdateTraceSegmentDestination"
        answer = requests.post(url, json=members, timeout=30)
        return answer.status_code, answer.json()

    assert destination() == ("XRay", "ACTIVE")
    logs = {"SpansLogGroupKmsKeyId": KEY}
    status, answer = update(Destination="CloudWatchLogs", CloudWatchLogsConfiguration=logs)
    assert (status, answer["Destination"], answer["Status"]) == (200, *destination())
    assert destination() == ("CloudWatchLogs", "ACTIVE")
    api.update_trace_segment_destination()
    assert destination()[0] == "CloudWatchLogs"
    for members, said in (
        ({"Destination": "XRay", "CloudWatchLogsConfiguration": logs}, "needs the Destination"),
        ({"CloudWatchLogsConfiguration": logs}, "needs the Destination"),
        (
            {"Destination": "CloudWatchLogs", "CloudWatchLogsConfiguration": {"SpansLogGroupKmsKeyId": "alias/a"}},
            "must be the ARN",
        ),
    ):
        status, answer = update(**members)
        assert (status, answer["__type"]) == (400, "InvalidRequestException")
        assert said in answer["message"]
    api.update_trace_segment_destination(Destination="XRay")
    assert destination() == ("XRay", "ACTIVE")


# Telemetry


def test_what_daemons_report_is_counted(running: Server, api: Any) -> None:
    counters = running.state.counters
    before = counters.daemon_segments.copy(), counters.daemon_errors
    record = {
        "Timestamp": time.time(),
        "SegmentsReceivedCount": 10,
        "SegmentsSentCount": 7,
        "SegmentsSpilloverCount": 2,
        "SegmentsRejectedCount": 1,
        "BackendConnectionErrors": {"TimeoutCount": 3, "HTTPCode5XXCount": 4},
    }
    api.put_telemetry_records(
        TelemetryRecords=[record, {"Timestamp": 1, "SegmentsSentCount": -5}],
        EC2InstanceId="i-1",
        Hostname="web-1",
        ResourceARN="arn:aws:ec2:eu-central-1:1:instance/i-1",
    )
    segments = counters.daemon_segments - before[0]
    assert segments == {"received": 10, "sent": 7, "spillover": 2, "rejected": 1}
    assert counters.daemon_errors - before[1] == 7
    text = counters.exposition()
    assert f'fluoro_daemon_segments_total{{result="spillover"}} {counters.daemon_segments["spillover"]}' in text
    assert f"fluoro_daemon_errors_total {counters.daemon_errors}" in text
