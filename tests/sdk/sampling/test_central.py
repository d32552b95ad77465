"""Central sampling against a real HTTP server that keeps X-Ray's protocol; the time is the test's."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator

import boto3
import pytest

from fluoro import forks
from fluoro.sampling import LEAVE, RECORD
from fluoro.sampling import central as central_module
from fluoro.sampling.central import CentralSampler
from fluoro.sampling.client import SamplingClient
from fluoro.sampling.rules import Process, place
from servers.xray_sampling import SamplingServer, sampling_server

LOW, HIGH = bytes(16), b"\xff" * 16


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock) -> Iterator[SamplingServer]:
    with sampling_server(clock) as running:
        yield running


class Still:
    """In place of the jitter."""

    def random(self) -> float:
        return 0.0

    def seed(self, _number: int) -> None:
        pass


def central(url: str, clock: Clock, fallback=None, **process: object) -> CentralSampler:
    who = Process(**{"service_name": "orders", **process})
    made = CentralSampler(SamplingClient(url), fallback, lambda: who, clock=clock, start_thread=False)
    made._jitter = Still()
    return made


def ask(sampler: CentralSampler, trace_id: bytes = HIGH, method="GET", url="http://shop.com/buy", service="orders"):
    return sampler(trace_id, service, method, method, url)


def test_everything_is_recorded_until_there_are_rules_and_then_by_them(server, clock):
    server.put("Default", FixedRate=0, ReservoirSize=0)
    sampler = central(server.url, clock)
    assert ask(sampler) is RECORD
    sampler.poll()
    decision = ask(sampler, LOW)
    assert (decision.sampled, decision.rule) == (False, "Default")


def test_one_a_second_is_borrowed_until_a_quota_is_lent(server, clock):
    server.put("Default", FixedRate=0, ReservoirSize=20)
    sampler = central(server.url, clock)
    sampler.poll()
    assert [ask(sampler).sampled for _ in range(3)] == [True, False, False]
    clock.now += 1
    assert [ask(sampler).sampled for _ in range(3)] == [True, False, False]
    clock.now += 9
    assert sampler.poll() == 10
    [report] = server.reports
    assert (report["RequestCount"], report["SampledCount"], report["BorrowCount"]) == (6, 0, 2)
    assert [ask(sampler).sampled for _ in range(25)].count(True) == 20
    clock.now += 1
    assert [ask(sampler).sampled for _ in range(25)].count(True) == 20
    clock.now += 9
    sampler.poll()
    assert (server.reports[1]["RequestCount"], server.reports[1]["SampledCount"]) == (50, 40)
    clock.now += 301  # nothing was heard: the quota is over
    assert [ask(sampler).sampled for _ in range(25)].count(True) == 1


def test_a_reservoir_is_divided_among_processes(server, clock):
    server.put("Default", FixedRate=0, ReservoirSize=10)
    samplers = [central(server.url, clock) for _ in range(2)]
    for each in samplers:
        each.poll()
    for _ in range(2):
        for each, requests in zip(samplers, (30, 10), strict=True):
            for _ in range(requests):
                ask(each)
        clock.now += 10
        for each in samplers:
            each.poll()
    assert [[ask(each).sampled for _ in range(20)].count(True) for each in samplers] == [7, 2]
    assert len({report["ClientID"] for report in server.reports}) == 2


def test_beyond_the_reservoir_a_share_is_taken_by_trace_id(server, clock):
    server.put("Default", FixedRate=0.5, ReservoirSize=0)
    sampler = central(server.url, clock)
    sampler.poll()
    assert ask(sampler, LOW).sampled
    assert not ask(sampler, HIGH).sampled
    taken = [ask(sampler, os.urandom(16)).sampled for _ in range(4_000)].count(True)
    assert 1_800 < taken < 2_200


def test_rules_are_asked_in_order_and_on_every_criterion(server, clock):
    server.page_size = 2  # they come in pages
    server.put("Default", Priority=10_000)
    server.put("z-first", Priority=1, URLPath="/health?*")
    server.put("b", Priority=5, Host="*.example.com", HTTPMethod="POST")
    server.put("a", Priority=5, Host="*.example.com")
    server.put("named", Priority=6, ServiceName="other")
    server.put("elsewhere", Priority=7, ServiceType="AWS::ECS::*")
    server.put("arn", Priority=7, ResourceARN="arn:aws:*")
    server.put("unknown", Priority=7, Attributes={"no.such": "*"})
    server.put("attributes", Priority=8, Attributes={"http.request.method": "PUT", "team": "blue*"})
    server.put("newer", Priority=2, Version=2)
    sampler = central(server.url, clock, service_type="AWS::EC2::Instance", attributes={"team": "blue-1"})
    sampler.poll()
    assert server.asked("/GetSamplingRules") == 5
    assert ask(sampler, url="http://h/healthz?x=1").rule == "z-first"
    assert ask(sampler, url="http://h/health").rule == "Default"
    assert ask(sampler, url="http://a.Example.com:8080/").rule == "a"
    assert ask(sampler, url="http://a.example.com/", method="POST").rule == "a"
    assert ask(sampler, service="other").rule == "named"
    assert ask(sampler, method="PUT").rule == "attributes"
    assert ask(sampler, method="", url="").rule == "Default"


def test_a_process_knows_its_place_from_the_start_of_its_rules(server, clock):
    server.put("ecs", Priority=1, ServiceType="AWS::ECS::*", ResourceARN="arn:aws:ecs:*")
    sampler = central(server.url, clock, service_type="AWS::ECS::Fargate", resource_arn="arn:aws:ecs:eu-west-1:1:x")
    sampler.poll()
    assert ask(sampler).rule == "ecs"


def test_the_timing_is_the_documented_one(server, clock):
    server.put("Default")
    sampler = central(server.url, clock)
    assert sampler.poll() == 10
    assert (server.asked("/GetSamplingRules"), server.asked("/SamplingTargets")) == (1, 0)
    for _ in range(31):
        clock.now += 10
        ask(sampler)
        sampler.poll()
    assert server.asked("/GetSamplingRules") == 2
    assert server.asked("/SamplingTargets") == 31
    clock.now += 10
    sampler.poll()  # no rule was used: nothing to report
    assert server.asked("/SamplingTargets") == 31


def test_a_changed_rule_is_fetched_at_once_and_goes_on_counting(server, clock):
    server.put("Default", FixedRate=0, ReservoirSize=0)
    sampler = central(server.url, clock)
    sampler.poll()
    ask(sampler)
    clock.now += 10
    server.put("Default", FixedRate=1)
    assert sampler.poll() == 0
    ask(sampler)
    sampler.poll()
    assert server.asked("/GetSamplingRules") == 2
    assert ask(sampler, HIGH).sampled
    assert ask(sampler, LOW).sampled
    clock.now += 10
    sampler.poll()
    assert [report["RequestCount"] for report in server.reports] == [1, 3]


def test_what_could_not_be_reported_is_reported_later(server, clock):
    server.put("Default", ReservoirSize=0, SamplingRateBoost={"MaxRate": 1.0, "CooldownWindowMinutes": 5})
    sampler = central(server.url, clock)
    sampler.poll()
    for _ in range(4):
        ask(sampler)
    clock.now += 10
    server.broken = 503
    sampler.poll()
    server.broken = 0
    clock.now += 10
    sampler.poll()
    assert [report["RequestCount"] for report in server.reports] == [4]
    assert [boost["TotalCount"] for boost in server.boosts] == [4]


def test_rules_are_forgotten_an_hour_after_their_last_refresh(server, clock):
    server.put("Default", FixedRate=0, ReservoirSize=0)
    sampler = central(server.url, clock, fallback=lambda *_: LEAVE)
    assert ask(sampler) is LEAVE
    sampler.poll()
    server.broken = 500
    started = clock.now
    while clock.now - started < 3_500:
        clock.now += sampler.poll()
        assert ask(sampler).rule == "Default"
    while clock.now - started < 4_300:
        clock.now += sampler.poll()
    assert ask(sampler) is LEAVE
    server.broken = 0
    clock.now += sampler.poll()
    sampler.poll()
    assert ask(sampler).rule == "Default"


def waits(sampler: CentralSampler, clock: Clock, count: int) -> list[float]:
    found = []
    for _ in range(count):
        found.append(sampler.poll())
        clock.now += found[-1]
    return found


def test_a_server_without_sampling_is_hardly_asked(server, clock):
    server.broken = 404
    sampler = central(server.url, clock)
    assert waits(sampler, clock, 6) == [300, 600, 1_200, 2_400, 3_600, 3_600]
    assert ask(sampler) is RECORD


def test_a_server_that_is_away_is_asked_soon_then_later(clock):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sampler = central(f"http://127.0.0.1:{port}", clock)
    assert waits(sampler, clock, 7) == [10, 20, 40, 80, 160, 300, 300]


def test_no_rules_at_all_is_as_no_server(server, clock):
    sampler = central(server.url, clock)
    assert sampler.poll() == 300
    assert ask(sampler) is RECORD


def test_a_boost_takes_the_place_of_the_fixed_rate_for_its_time(server, clock):
    server.put("Default", FixedRate=0, ReservoirSize=0, SamplingRateBoost={"MaxRate": 0.6, "CooldownWindowMinutes": 1})
    sampler = central(server.url, clock)
    sampler.poll()
    for _ in range(5):
        decision = ask(sampler, LOW)
        assert not decision.sampled
    decision.anomalous()
    clock.now += 10
    server.boost = {"Default": {"BoostRate": 0.9, "BoostRateTTL": clock.now + 60}}
    sampler.poll()
    [boost] = server.boosts
    assert {key: value for key, value in boost.items() if key != "Timestamp"} == {
        "RuleName": "Default",
        "ServiceName": "orders",
        "AnomalyCount": 1,
        "TotalCount": 5,
        "SampledAnomalyCount": 0,
    }
    assert ask(sampler, LOW).sampled
    taken = [ask(sampler, os.urandom(16)).sampled for _ in range(4_000)].count(True)
    assert 2_200 < taken < 2_600  # the rule allows 0.6
    ask(sampler, LOW).anomalous()
    clock.now += 10
    server.boost = {}
    sampler.poll()
    assert (server.boosts[1]["AnomalyCount"], server.boosts[1]["SampledAnomalyCount"]) == (1, 1)
    clock.now += 60
    assert not ask(sampler, LOW).sampled


def test_more_than_25_rules_are_reported_in_parts(server, clock):
    for number in range(30):
        server.put(f"r{number}", Priority=number + 1, URLPath=f"/{number}")
    sampler = central(server.url, clock)
    sampler.poll()
    for number in range(30):
        ask(sampler, url=f"http://h/{number}")
    clock.now += 10
    sampler.poll()
    assert server.asked("/SamplingTargets") == 2
    assert len(server.reports) == 30


def test_a_forked_child_starts_with_its_parents_rules_and_nothing_counted(server, clock):
    server.put("Default", FixedRate=0, ReservoirSize=5)
    sampler = central(server.url, clock)
    sampler.poll()
    ask(sampler)
    clock.now += 10
    sampler.poll()
    before = server.reports[0]["ClientID"]
    sampler._forked()
    assert [ask(sampler).sampled for _ in range(3)] == [True, False, False]  # borrowed: the quota is the parent's
    sampler.poll()
    clock.now += 10
    sampler.poll()
    assert server.reports[-1]["RequestCount"] == 3
    assert server.reports[-1]["ClientID"] != before


def test_the_thread_starts_with_the_first_decision_and_ends_when_closed(server, monkeypatch):
    server.put("Default", FixedRate=0, ReservoirSize=0)
    monkeypatch.setattr(central_module, "FIRST_POLL_S", 0.0)
    monkeypatch.setattr(server, "clock", time.time)
    quiet: list[int] = []
    before = len(sys._current_frames())
    sampler = CentralSampler(SamplingClient(server.url), None, Process, quiet=lambda: quiet.append(1))
    assert len(sys._current_frames()) == before
    deadline = time.monotonic() + 20
    while ask(sampler, LOW).rule != "Default":
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert quiet == [1]
    sampler.close()
    while any(frame.f_code.co_filename == central_module.__file__ for frame in sys._current_frames().values()):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    forks._callbacks.remove(sampler._forked)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://shop.com/buy?x=1", ("shop.com", "/buy")),
        ("https://shop.com:8443", ("shop.com", "")),
        ("http://[::1]:80/a", ("[::1]", "/a")),
        ("", ("", "")),
        ("/relative", ("", "")),
    ],
)
def test_host_and_path_of_a_url(url, expected):
    assert place(url) == expected


def test_botocore_reads_what_the_server_of_these_tests_answers(server, clock):
    """The fake must speak X-Ray's protocol, or these tests show nothing."""
    server.put("Default", SamplingRateBoost={"MaxRate": 1.0, "CooldownWindowMinutes": 1})
    xray = boto3.client(
        "xray", endpoint_url=server.url, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    [record] = xray.get_sampling_rules()["SamplingRuleRecords"]
    assert record["SamplingRule"]["RuleName"] == "Default"
    counts = {"Timestamp": clock.now, "RequestCount": 1, "SampledCount": 1, "BorrowCount": 0}
    answer = xray.get_sampling_targets(
        SamplingStatisticsDocuments=[
            {"RuleName": name, "ClientID": "0123456789abcdef01234567", **counts} for name in ("Default", "gone")
        ]
    )
    assert [target["RuleName"] for target in answer["SamplingTargetDocuments"]] == ["Default"]
    assert answer["UnprocessedStatistics"][0]["RuleName"] == "gone"
    assert answer["LastRuleModification"].timestamp() == clock.now
