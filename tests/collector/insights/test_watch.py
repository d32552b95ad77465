"""Insights from the outside: traffic goes in, the clock is turned, boto3 reads what was found."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import botocore.exceptions
import msgspec
import pytest

from fault_traffic import DATABASE, MINUTE, ORDERS, Plan, feed, steady
from fluoro_collector.insights import keep, words
from fluoro_collector.insights.insight import Impact, Service
from fluoro_collector.insights.watch import LAG_S, Watch
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.graph.outcomes import Counts, Outcomes, Source, outcomes
from fluoro_collector.query.groups import Group, Groups
from fluoro_collector.store.engine import StoreBusy
from query_server import Server

USUAL = 80  # minutes of steady traffic before anything happens
CLIENT = ("web", "client")


class Shop:
    """A server that watches Default; `minute` is how many minutes have passed since `begin`.

    What the watch reads of the traffic is made here; with `stored` it is read from traces, stored before with `feed`.
    """

    def __init__(self, server: Server, xray: Any, *, stored: bool = False) -> None:
        self.server, self.xray, self.stored = server, xray, stored
        self.begin = beginning()
        self.minute = 0
        self.seen: dict[int, Outcomes] = {}
        self.watches = [self.watch()]
        xray.update_group(GroupName="Default", InsightsConfiguration={"InsightsEnabled": True})
        self.go(USUAL, lambda _: (4, 0, 0, 0), step=USUAL)
        assert self.summaries() == []

    def watch(self) -> Watch:
        """One collector's job."""
        state = self.server.state
        read: Source = partial(outcomes, state.store.engine, state.rollup.dirty) if self.stored else self.made
        return Watch(state.store.engine, Groups(state.configuration).all, lambda _: read, self.now, lambda: self.begin)

    def made(self, first: int, last: int, period: int, edges: bool) -> dict[int, Outcomes]:
        found = {moment: Outcomes({}, {}) for moment in range(first, last, period)}
        for minute in range(max(first, self.begin), last, MINUTE):
            here = found[minute // period * period]
            there = self.seen.get(minute, Outcomes({}, {}))
            for mine, theirs in [*zip(here, there, strict=True)][: 1 + edges]:
                for key, counts in theirs.items():
                    mine[key] = mine.get(key, Counts()).plus(counts)
        return found

    def now(self) -> float:
        return float(self.begin + self.minute * MINUTE + LAG_S + 1)

    def store(self, minutes: int, plan: Plan = steady) -> None:
        """Traffic of the next minutes; its plan counts from 0."""
        for number in range(minutes):
            requests, database, orders, web = plan(number)
            failing = {DATABASE: database, ORDERS: database + orders, ("web", ""): database + orders + web}
            nodes = {key: Counts(ok=requests - faults, fault=faults) for key, faults in failing.items()}
            callers = {DATABASE: ORDERS, ORDERS: ("web", ""), ("web", ""): CLIENT}
            edges = {(callers[key], key): counts for key, counts in nodes.items()}
            self.seen[self.at(self.minute + number)] = Outcomes(nodes, edges)

    def go(self, minutes: int, plan: Plan = steady, *, step: int = 1) -> None:
        """Traffic of the next minutes, looked at every `step` of them by every collector."""
        self.store(minutes, plan)
        for _ in range(0, minutes, step):
            self.minute += step
            for watch in self.watches:
                watch.run_once()

    def at(self, minute: int) -> int:
        return self.begin + minute * MINUTE

    def summaries(self, **more: Any) -> list[dict[str, Any]]:
        asked = {"GroupName": "Default", "StartTime": self.begin, "EndTime": self.begin + 4 * 3600, **more}
        return self.xray.get_insight_summaries(**asked)["InsightSummaries"]

    def events(self, insight: dict[str, Any]) -> list[dict[str, Any]]:
        return self.xray.get_insight_events(InsightId=insight["InsightId"])["InsightEvents"]


@pytest.fixture
def shop(server: Server, xray: Any) -> Shop:
    return Shop(server, xray)


def beginning() -> int:
    return int(time.time()) // 3600 * 3600 - 4 * 3600


def a_bad_database(minute: int) -> tuple[int, int, int, int]:
    """As `database_fails` for six minutes after the usual ones."""
    return (4, 0, 0, 0) if minute < USUAL else database_fails(minute) if minute < USUAL + 6 else steady(minute)


def database_fails(minute: int) -> tuple[int, int, int, int]:
    return 20, 10, 0, 0


def service(key: tuple[str, str]) -> dict[str, Any]:
    name, kind = key
    return {"Name": name, "Names": [name], **({"Type": kind} if kind else {})}


def test_an_insight_opens_merges_and_closes(server: Server, xray: Any) -> None:
    """From stored traces to what boto3 reads."""
    state = server.state
    feed(state.store, state.rollup, beginning(), USUAL + 16, a_bad_database)
    shop = Shop(server, xray, stored=True)
    shop.go(2, database_fails, step=2)
    assert shop.summaries() == []
    shop.go(4, database_fails, step=2)
    (found,) = shop.summaries()
    assert (found["State"], found["GroupName"], found["Categories"]) == ("ACTIVE", "Default", ["FAULT"])
    assert found["StartTime"].timestamp() == shop.at(USUAL)
    assert found["LastUpdateTime"].timestamp() == shop.at(USUAL + 6)
    assert "EndTime" not in found
    assert found["RootCauseServiceId"] == service(DATABASE)
    assert {each["ServiceId"]["Name"] for each in found["TopAnomalousServices"]} == {"web", ORDERS[0], DATABASE[0]}
    assert found["ClientRequestImpactStatistics"] == {"FaultCount": 60, "OkCount": 60, "TotalCount": 120}
    assert found["RootCauseServiceRequestImpactStatistics"] == {"FaultCount": 60, "OkCount": 60, "TotalCount": 120}
    assert found["Summary"].startswith("shop@db (Database::SQL): 50 % of 120 requests failed since ")
    shop.go(10, step=5)
    (found,) = shop.summaries(States=["CLOSED"])
    assert shop.summaries(States=["ACTIVE"]) == []
    assert found["EndTime"].timestamp() == shop.at(USUAL + 6)
    # The quiet minutes at the end are not part of it.
    assert found["ClientRequestImpactStatistics"] == {"FaultCount": 60, "OkCount": 60, "TotalCount": 120}
    insight = shop.xray.get_insight(InsightId=found["InsightId"])["Insight"]
    assert insight == {key: value for key, value in found.items() if key != "LastUpdateTime"}
    newest, better, oldest = shop.events(found)
    assert [each["EventTime"].timestamp() for each in (oldest, better, newest)] == [
        shop.at(USUAL + 3),
        shop.at(USUAL + 9),
        shop.at(USUAL + 16),
    ]
    assert newest["Summary"].startswith("Over. ")
    assert better["Summary"] == "0 % of client requests fail now, it was 50 %."
    assert oldest["ClientRequestImpactStatistics"] == {"FaultCount": 30, "OkCount": 30, "TotalCount": 60}
    assert oldest["TopAnomalousServices"] == found["TopAnomalousServices"]
    assert shop.made(shop.begin, shop.at(shop.minute), 300, True) == outcomes(  # the other tests' traffic is the same
        state.store.engine, state.rollup.dirty, shop.begin, shop.at(shop.minute), 300
    )


def test_what_spreads_is_told_and_the_cause_goes_deeper(shop: Shop) -> None:
    shop.go(6, lambda _: (20, 0, 0, 5), step=3)
    (found,) = shop.summaries()
    assert found["RootCauseServiceId"] == service(("web", ""))
    shop.go(6, lambda _: (20, 0, 8, 5), step=3)
    (same,) = shop.summaries()
    assert same["InsightId"] == found["InsightId"]
    assert same["RootCauseServiceId"] == service(ORDERS)
    assert same["StartTime"] == found["StartTime"]
    (spread,) = (each for each in shop.events(same) if "orders (AWS::ECS::Container) is now taken" in each["Summary"])
    assert service(ORDERS) in [each["ServiceId"] for each in spread["TopAnomalousServices"]]
    shop.go(6, lambda _: (20, 0, 0, 5), step=3)
    (same,) = shop.summaries()
    assert same["RootCauseServiceId"] == service(("web", ""))
    assert "orders (AWS::ECS::Container) recovered." in shop.events(same)[0]["Summary"]


def test_a_single_bad_minute_and_usual_faults_are_no_insight(shop: Shop) -> None:
    shop.go(1, lambda _: (20, 20, 0, 0))
    shop.go(8, step=4)
    shop.go(12, lambda minute: (20, int(minute % 4 == 0), 0, 0), step=4)
    assert shop.summaries() == []


def test_a_restart_and_a_pause_change_nothing(shop: Shop) -> None:
    """A process that sleeps, or another that goes on in its place, comes to what one that never stopped does."""
    shop.go(4, database_fails, step=2)
    shop.watches = [shop.watch()]
    shop.go(6, database_fails, step=6)
    shop.watches = [shop.watch()]
    shop.go(20, step=20)
    (found,) = shop.summaries()
    assert (found["StartTime"].timestamp(), found["EndTime"].timestamp()) == (shop.at(USUAL), shop.at(USUAL + 10))
    assert found["ClientRequestImpactStatistics"] == {"FaultCount": 100, "OkCount": 100, "TotalCount": 200}
    assert found["LastUpdateTime"].timestamp() == shop.at(USUAL + 20)


def test_several_collectors_open_it_once(shop: Shop) -> None:
    shop.watches = [shop.watch() for _ in range(3)]
    shop.go(8, database_fails, step=2)
    (found,) = shop.summaries()
    assert len(shop.events(found)) == 1
    assert found["ClientRequestImpactStatistics"]["TotalCount"] == 160


def test_two_that_looked_at_one_moment_become_one(shop: Shop) -> None:
    """What a collector stored that saw other rows is merged into the older insight."""
    shop.go(4, database_fails, step=4)
    (first,) = keep.find(shop.server.state.store.engine, events=True)
    engine = shop.server.state.store.engine
    other = msgspec.structs.replace(first, id="00000000-0000-5000-8000-000000000000", start=first.start + MINUTE)
    keep.save(engine, [other])
    assert len(shop.summaries()) == 2
    shop.go(1, database_fails)
    assert [each["InsightId"] for each in shop.summaries()] == [first.id]
    with pytest.raises(botocore.exceptions.ClientError, match="there is no such insight"):
        shop.xray.get_insight(InsightId=other.id)


def test_switching_insights_off_ends_them(shop: Shop) -> None:
    shop.go(4, database_fails, step=4)
    shop.xray.update_group(GroupName="Default", InsightsConfiguration={"InsightsEnabled": False})
    shop.go(1, database_fails)
    (found,) = shop.summaries()
    assert found["State"] == "CLOSED"
    assert shop.events(found)[0]["Summary"].startswith("The group is not watched any more.")
    shop.go(10, database_fails, step=10)
    assert len(shop.summaries()) == 1


def test_one_group_that_fails_keeps_no_other_from_its_turn(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    engine, broken = shop.server.state.store.engine, {"a": StoreBusy("not now"), "b": FilterError("no such group", 0)}

    def of(group: Group) -> Source:
        if group.name in broken:
            raise broken[group.name]
        return shop.made

    groups = [Group(name=name, arn=name, insights=True) for name in ("a", "b", "c")]
    shop.store(4, database_fails)
    shop.minute += 4
    watch = Watch(engine, lambda: groups, of, shop.now, lambda: shop.begin)
    with pytest.raises(StoreBusy, match="not now"):
        watch.run_once()
    assert [each.group for each in keep.find(engine)] == ["c"]
    assert "group b: its expression cannot be answered: no such group" in caplog.text
    del broken["a"]
    watch.run_once()
    assert sorted(each.group for each in keep.find(engine)) == ["a", "c"]


def test_words_are_short_whatever_the_names() -> None:
    services = [Service("n" * 500, "t" * 500)] * 5
    text = words.summary(services[0], 0, 60, 0.0004, Impact(5, 5, 10), Impact(1000, 1, 1001), services[1:])
    assert len(text) < 1200
    assert text.endswith("and 1 more are affected too. < 0.1 % of 1,001 client requests failed.")
    assert "50 % of 10 requests failed from 00:00 to 00:01 UTC; < 0.1 % are usual." in text
