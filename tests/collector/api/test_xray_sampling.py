"""Sampling rules and targets through boto3."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fluoro_collector.api.readers import THREADS
from query_server import Server

CLIENT = "0123456789abcdef01234567"
RULE = {
    "RuleName": "checkout",
    "ResourceARN": "*",
    "Priority": 100,
    "FixedRate": 0.1,
    "ReservoirSize": 10,
    "ServiceName": "shop",
    "ServiceType": "*",
    "Host": "*.example.com",
    "HTTPMethod": "POST",
    "URLPath": "/buy/*",
    "Version": 1,
}


def rules(api: Any) -> dict[str, dict[str, Any]]:
    [page] = api.get_paginator("get_sampling_rules").paginate()
    return {record["SamplingRule"]["RuleName"]: record["SamplingRule"] for record in page["SamplingRuleRecords"]}


def report(name: str = "checkout", client: str = CLIENT, requests: int = 100, **more: Any) -> dict[str, Any]:
    counts = {"RequestCount": requests, "SampledCount": 5, "BorrowCount": 1}
    return {"RuleName": name, "ClientID": client, "Timestamp": time.time(), **counts, **more}


def post(server: Server, path: str, data: bytes) -> Any:
    """As clients without botocore ask."""
    with urllib.request.urlopen(
        urllib.request.Request(server.url + path, data=data, method="POST"), timeout=30
    ) as answer:
        return json.load(answer)


def test_everything_is_recorded_until_somebody_says_otherwise(api: Any) -> None:
    [record] = api.get_sampling_rules()["SamplingRuleRecords"]
    assert record["SamplingRule"] == {
        "RuleName": "Default",
        "RuleARN": "arn:aws:xray:local:000000000000:sampling-rule/Default",
        "ResourceARN": "*",
        "Priority": 10000,
        "FixedRate": 1.0,
        "ReservoirSize": 1,
        "ServiceName": "*",
        "ServiceType": "*",
        "Host": "*",
        "HTTPMethod": "*",
        "URLPath": "*",
        "Version": 1,
        "Attributes": {},
    }
    assert record["CreatedAt"].timestamp() == record["ModifiedAt"].timestamp() == 0
    answer = api.get_sampling_targets(SamplingStatisticsDocuments=[])
    assert answer["SamplingTargetDocuments"] == answer["UnprocessedStatistics"] == []
    assert answer["LastRuleModification"].timestamp() == 0


def test_a_rule_is_made_changed_and_deleted(api: Any) -> None:
    before = time.time()
    boost = {"MaxRate": 0.5, "CooldownWindowMinutes": 10}
    asked = {**RULE, "Attributes": {"tier": "gold*"}, "SamplingRateBoost": boost}
    made = api.create_sampling_rule(SamplingRule=asked)["SamplingRuleRecord"]
    arn = "arn:aws:xray:local:000000000000:sampling-rule/checkout"
    assert made["SamplingRule"] == {**asked, "RuleARN": arn} == rules(api)["checkout"]
    assert before - 1 <= made["CreatedAt"].timestamp() <= time.time()
    changed = api.update_sampling_rule(SamplingRuleUpdate={"RuleARN": arn, "FixedRate": 0, "Host": "*"})
    changed = changed["SamplingRuleRecord"]
    assert changed["SamplingRule"] == {**made["SamplingRule"], "FixedRate": 0.0, "Host": "*"} == rules(api)["checkout"]
    assert changed["CreatedAt"] == made["CreatedAt"] <= changed["ModifiedAt"]
    deleted = api.delete_sampling_rule(RuleName="checkout")["SamplingRuleRecord"]
    assert deleted == changed
    assert rules(api).keys() == {"Default"}


def test_rules_come_in_the_order_in_which_they_are_asked(api: Any) -> None:
    for name, priority in (("b", 5), ("z", 1), ("a", 5), ("last", 9999)):
        api.create_sampling_rule(SamplingRule={**RULE, "RuleName": name, "Priority": priority})
    assert list(rules(api)) == ["z", "a", "b", "last", "Default"]


def test_only_rate_and_reservoir_of_default_change(api: Any) -> None:
    update = {"RuleName": "Default", "FixedRate": 0.05, "ReservoirSize": 3}
    assert (
        api.update_sampling_rule(SamplingRuleUpdate=update)["SamplingRuleRecord"]["SamplingRule"]["FixedRate"] == 0.05
    )
    assert (rules(api)["Default"]["ReservoirSize"], rules(api)["Default"]["Priority"]) == (3, 10000)
    for refused in ({"Priority": 5}, {"Host": "a"}, {"SamplingRateBoost": {"MaxRate": 1, "CooldownWindowMinutes": 1}}):
        with pytest.raises(api.exceptions.InvalidRequestException, match="of Default only"):
            api.update_sampling_rule(SamplingRuleUpdate={"RuleName": "Default", **refused})
    with pytest.raises(api.exceptions.InvalidRequestException, match="FixedRate must be at most 1"):
        api.update_sampling_rule(SamplingRuleUpdate={"RuleName": "Default", "FixedRate": 1.5})
    with pytest.raises(api.exceptions.InvalidRequestException, match="cannot be deleted"):
        api.delete_sampling_rule(RuleName="Default")
    with pytest.raises(api.exceptions.InvalidRequestException, match="exists already"):
        api.create_sampling_rule(SamplingRule={**RULE, "RuleName": "Default"})


@pytest.mark.parametrize(
    ("operation", "members", "match"),
    [
        ("create_sampling_rule", {"SamplingRule": {**RULE, "RuleARN": "arn"}}, "RuleARN must be left out"),
        (
            "create_sampling_rule",
            {"SamplingRule": {key: RULE[key] for key in RULE if key != "RuleName"}},
            "RuleName is required",
        ),
        ("create_sampling_rule", {"SamplingRule": {**RULE, "Version": 2}}, "Version must be 1"),
        ("create_sampling_rule", {"SamplingRule": {**RULE, "RuleName": " a"}}, "RuleName"),
        ("create_sampling_rule", {"SamplingRule": {**RULE, "RuleName": "there"}}, "exists already"),
        ("update_sampling_rule", {"SamplingRuleUpdate": {"RuleName": "no"}}, "there is no sampling rule"),
        ("update_sampling_rule", {"SamplingRuleUpdate": {"FixedRate": 1}}, "RuleName or RuleARN"),
        ("update_sampling_rule", {"SamplingRuleUpdate": {"RuleName": "there", "RuleARN": "arn"}}, "not both"),
        ("update_sampling_rule", {"SamplingRuleUpdate": {"RuleName": "there", "Priority": 0}}, "Priority must be"),
        ("update_sampling_rule", {"SamplingRuleUpdate": {"RuleName": "there", "Priority": 10000}}, "Priority must be"),
        ("update_sampling_rule", {"SamplingRuleUpdate": {"RuleName": "there", "FixedRate": 1.1}}, "FixedRate must be"),
        ("update_sampling_rule", {"SamplingRuleUpdate": {"RuleName": "there", "ReservoirSize": -1}}, "ReservoirSize"),
        ("delete_sampling_rule", {}, "RuleName or RuleARN"),
        ("delete_sampling_rule", {"RuleName": "no"}, "there is no sampling rule"),
        ("get_sampling_rules", {"NextToken": "x"}, "NextToken"),
        ("get_sampling_statistic_summaries", {"NextToken": "\u00e9"}, "NextToken"),
    ],
)
def test_what_is_refused(api: Any, operation: str, members: dict[str, Any], match: str) -> None:
    api.create_sampling_rule(SamplingRule={**RULE, "RuleName": "there"})
    before = rules(api)
    with pytest.raises(api.exceptions.InvalidRequestException, match=match):
        getattr(api, operation)(**members)
    assert rules(api) == before


def test_twenty_five_rules_and_no_more(api: Any) -> None:
    for number in range(25):
        api.create_sampling_rule(SamplingRule={**RULE, "RuleName": f"rule{number}"})
    with pytest.raises(api.exceptions.RuleLimitExceededException, match="at most 25"):
        api.create_sampling_rule(SamplingRule={**RULE, "RuleName": "more"})
    assert len(rules(api)) == 26
    api.delete_sampling_rule(RuleName="rule0")
    api.create_sampling_rule(SamplingRule={**RULE, "RuleName": "more"})


def test_targets_lend_the_reservoir_and_say_when_rules_changed(api: Any) -> None:
    api.create_sampling_rule(SamplingRule=RULE)
    modified = api.get_sampling_rules()["SamplingRuleRecords"][0]["ModifiedAt"].timestamp()
    answer = api.get_sampling_targets(SamplingStatisticsDocuments=[report(), report("gone"), report("Default")])
    target, everything = answer["SamplingTargetDocuments"]
    assert (target["RuleName"], target["FixedRate"], target["ReservoirQuota"], target["Interval"]) == (
        "checkout",
        0.1,
        10,
        10,
    )
    assert 290 < target["ReservoirQuotaTTL"].timestamp() - time.time() < 301
    assert (everything["FixedRate"], everything["ReservoirQuota"]) == (1.0, 1)
    assert "SamplingBoost" not in target
    [unknown] = answer["UnprocessedStatistics"]
    assert (unknown["RuleName"], unknown["ErrorCode"]) == ("gone", "400")
    changed = answer["LastRuleModification"].timestamp()
    assert modified <= changed < modified + 2
    assert changed == int(changed)
    api.delete_sampling_rule(RuleName="checkout")
    assert api.get_sampling_targets(SamplingStatisticsDocuments=[])["LastRuleModification"].timestamp() >= changed


def test_clients_share_a_reservoir(api: Any) -> None:
    api.create_sampling_rule(SamplingRule=RULE)

    def quota(client: str, requests: int) -> int:
        answer = api.get_sampling_targets(SamplingStatisticsDocuments=[report("checkout", client * 24, requests)])
        return answer["SamplingTargetDocuments"][0]["ReservoirQuota"]

    first = {client: quota(client, requests) for client, requests in (("a", 60), ("b", 30), ("c", 10))}
    assert sum(first.values()) <= 10
    assert {client: quota(client, requests) for client, requests in (("a", 60), ("b", 30), ("c", 10))} == {
        "a": 6,
        "b": 3,
        "c": 1,
    }


def test_statistics_are_listed_page_by_page(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fluoro_collector.api.xray.sampling.STATISTICS_PAGE", 2)
    for name in ("a", "b", "c"):
        api.create_sampling_rule(SamplingRule={**RULE, "RuleName": name})
    api.get_sampling_targets(SamplingStatisticsDocuments=[report(name) for name in ("a", "b", "c", "Default")])
    pages = list(api.get_paginator("get_sampling_statistic_summaries").paginate())
    assert [len(page["SamplingStatisticSummaries"]) for page in pages] == [2, 2]
    found = [each for page in pages for each in page["SamplingStatisticSummaries"]]
    assert [each["RuleName"] for each in found] == ["Default", "a", "b", "c"]
    assert {(each["RequestCount"], each["SampledCount"], each["BorrowCount"]) for each in found} == {(100, 5, 1)}
    assert all(each["Timestamp"].timestamp() % 10 == 0 for each in found)


def test_anomalies_boost_a_rule(api: Any) -> None:
    api.create_sampling_rule(SamplingRule={**RULE, "SamplingRateBoost": {"MaxRate": 0.5, "CooldownWindowMinutes": 10}})
    anomalies = {"ServiceName": "shop", "Timestamp": time.time(), "TotalCount": 100, "SampledAnomalyCount": 0}
    answer = api.get_sampling_targets(
        SamplingStatisticsDocuments=[report()],
        SamplingBoostStatisticsDocuments=[
            {"RuleName": name, "AnomalyCount": 10, **anomalies} for name in ("checkout", "Default", "gone")
        ],
    )
    boost = answer["SamplingTargetDocuments"][0]["SamplingBoost"]
    assert boost["BoostRate"] == 0.5
    assert 50 < boost["BoostRateTTL"].timestamp() - time.time() <= 61
    assert [(each["RuleName"], each["Message"]) for each in answer["UnprocessedBoostStatistics"]] == [
        ("Default", "the rule has no SamplingRateBoost"),
        ("gone", "there is no such rule"),
    ]
    api.delete_sampling_rule(RuleName="checkout")
    api.create_sampling_rule(SamplingRule={**RULE, "SamplingRateBoost": {"MaxRate": 0.5, "CooldownWindowMinutes": 10}})
    again = api.get_sampling_targets(SamplingStatisticsDocuments=[report()])
    assert "SamplingBoost" not in again["SamplingTargetDocuments"][0]


def test_what_other_clients_send(running: Server, api: Any) -> None:
    """ADOT: no body at all, SampleCount, and a ClientID in boost documents."""
    assert [
        each["SamplingRule"]["RuleName"] for each in post(running, "/GetSamplingRules", b"")["SamplingRuleRecords"]
    ] == ["Default"]
    document = report("Default")
    document["SampleCount"] = document.pop("SampledCount")
    boost = {
        "RuleName": "Default",
        "ServiceName": "shop",
        "ClientID": CLIENT,
        "Timestamp": time.time(),
        "AnomalyCount": 1,
        "TotalCount": 1,
        "SampledAnomalyCount": 0,
    }
    body = {"SamplingStatisticsDocuments": [document], "SamplingBoostStatisticsDocuments": [boost]}
    answer = post(running, "/SamplingTargets", json.dumps(body).encode())
    assert [each["RuleName"] for each in answer["SamplingTargetDocuments"]] == ["Default"]
    assert isinstance(answer["LastRuleModification"], (int, float))
    [summary] = api.get_sampling_statistic_summaries()["SamplingStatisticSummaries"]
    assert summary["SampledCount"] == 5


def test_slow_questions_do_not_hold_up_sampling(running: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, gate = threading.Semaphore(0), threading.Event()

    def slow() -> None:
        begun.release()
        assert gate.wait(30)

    monkeypatch.setattr(running.state.rollup, "_look_up", slow)  # part of any look at the map
    graph = json.dumps({"StartTime": time.time() - 60, "EndTime": time.time()}).encode()
    with ThreadPoolExecutor(THREADS) as people:
        looks = [people.submit(post, running, "/ServiceGraph", graph) for _ in range(THREADS)]
        try:
            assert all(begun.acquire(timeout=30) for _ in looks)
            data = json.dumps({"SamplingStatisticsDocuments": [report("Default")]}).encode()
            assert len(post(running, "/SamplingTargets", data)["SamplingTargetDocuments"]) == 1
            assert len(post(running, "/GetSamplingRules", b"")["SamplingRuleRecords"]) == 1
        finally:
            gate.set()
        assert [look.result()["Services"] for look in looks] == [[]] * THREADS
