"""Rules are changed with boto3 in a real collector, and two clients follow: the sampler of aws-xray-sdk, and fluoro's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from aws_xray_sdk.core.context import Context
from aws_xray_sdk.core.daemon_config import DaemonConfig
from aws_xray_sdk.core.sampling.sampler import DefaultSampler

from collector_process import Collector, start_collector
from fluoro.sampling.central import CentralSampler
from fluoro.sampling.client import SamplingClient
from fluoro.sampling.rules import Process

RULE = {
    "RuleName": "checkout",
    "Priority": 1,
    "FixedRate": 0,
    "ReservoirSize": 0,
    "Version": 1,
    "ServiceName": "*",
    "ServiceType": "*",
    "Host": "*",
    "HTTPMethod": "*",
    "URLPath": "/checkout",
    "ResourceARN": "*",
}


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with start_collector(tmp_path_factory.mktemp("data") / "store") as running:
        yield running


@pytest.fixture
def xray(collector: Collector) -> Iterator[Any]:
    client = boto3.client(
        "xray",
        endpoint_url=collector.http,
        region_name="local",
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
    )
    yield client
    for record in client.get_sampling_rules()["SamplingRuleRecords"]:
        if record["SamplingRule"]["RuleName"] != "Default":
            client.delete_sampling_rule(RuleName=record["SamplingRule"]["RuleName"])
    client.close()


class StockSampler:
    """aws-xray-sdk's own parts, without the sleeps of its threads."""

    def __init__(self, address: str) -> None:
        self.sampler = DefaultSampler()
        self.sampler.load_settings(DaemonConfig(address), Context())
        self.sampler._started = True
        self.rules = self.sampler._rule_poller
        self.rules._refresh_cache()
        self.rules._reset_time_to_wait()

    def asks(self, path: str) -> Any:
        return self.sampler.should_trace({"method": "POST", "path": path, "host": "shop", "service": "shop"})

    def report(self) -> bool:
        """As every 10 s; whether it was told to read the rules again, which it then does."""
        self.rules._time_elapsed = 0
        self.sampler._target_poller._do_work()
        told = self.rules._time_elapsed > self.rules._time_to_wait
        if told:
            self.rules._refresh_cache()
        return told


def test_the_sampler_of_aws_xray_sdk_follows(collector: Collector, xray: Any) -> None:
    client = StockSampler(collector.xray)
    assert client.asks("/checkout") == "Default"
    xray.create_sampling_rule(SamplingRule=RULE)
    assert client.report()
    assert not client.asks("/checkout")
    assert client.asks("/cart") == "Default"
    xray.update_sampling_rule(SamplingRuleUpdate={"RuleName": "checkout", "ReservoirSize": 50})
    assert client.report()
    [rule] = [rule for rule in client.sampler._cache.rules if rule.name == "checkout"]
    assert (rule.reservoir.quota, rule.rate) == (50, 0)
    assert [client.asks("/checkout") for _ in range(40)] == ["checkout"] * 40
    xray.delete_sampling_rule(RuleName="checkout")
    assert client.report()
    assert client.asks("/checkout") == "Default"


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def test_the_sampler_of_fluoro_follows(collector: Collector, xray: Any) -> None:
    clock = Clock()
    client = CentralSampler(
        SamplingClient(collector.http), None, lambda: Process(service_name="shop"), clock=clock, start_thread=False
    )

    def asks(path: str) -> tuple[bool, str]:
        decision = client(b"\xff" * 16, "shop", "POST", "POST", f"http://shop{path}")
        return decision.sampled, decision.rule

    def report() -> None:
        """Ten seconds later, and what it is told to do then."""
        clock.now += 10.2
        client.poll()
        client.poll()

    client.poll()
    assert asks("/checkout") == (True, "Default")
    xray.create_sampling_rule(SamplingRule={**RULE, "SamplingRateBoost": {"MaxRate": 1, "CooldownWindowMinutes": 5}})
    client._loaded_at -= 60  # the clock of this test runs ahead of the collector's
    report()
    assert asks("/checkout") == (False, "checkout")
    xray.update_sampling_rule(SamplingRuleUpdate={"RuleName": "checkout", "ReservoirSize": 20})
    client._loaded_at -= 60
    report()
    [rule] = [rule for rule in client._rules.rules if rule.name == "checkout"]
    clock.now += 10
    asks("/checkout")
    report()
    assert rule.quota == 20
    clock.now += 1
    assert [asks("/checkout")[0] for _ in range(25)] == [True] * 20 + [False] * 5
    found = {each["RuleName"] for each in xray.get_sampling_statistic_summaries()["SamplingStatisticSummaries"]}
    assert {"Default", "checkout"} <= found
    # A request that goes wrong is an anomaly, and the rule's rate rises for a minute.
    for _ in range(5):
        anomalous = client(b"\xff" * 16, "shop", "POST", "POST", "http://shop/checkout").anomalous
        assert anomalous is not None
        anomalous()
    report()
    clock.now += 1
    assert [asks("/checkout")[0] for _ in range(25)] == [True] * 25
    assert rule.boost_until > time.time() + 50
