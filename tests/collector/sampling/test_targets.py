from __future__ import annotations

import time

import pytest

from fluoro_collector.sampling.rules import Definition, Rule
from fluoro_collector.sampling.statistics import Summary
from fluoro_collector.sampling.targets import QUOTA_S, Sampling
from fluoro_collector.store.configuration import Configuration
from fluoro_collector.store.engine import StoreBusy
from fluoro_collector.store.store import Store

CHECKOUT = Rule(definition=Definition(rule_name="Default", rule_arn="arn", reservoir_size=10))


class Clock:
    def __init__(self) -> None:
        self.now = float(int(time.time()) // 10 * 10)  # the table forgets what is a day old

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def collector(store: Store, clock: Clock) -> Sampling:
    """One of several over a store."""
    return Sampling(store.engine, Configuration(store.engine), clock=clock)


def test_a_report_is_answered_with_a_quota_that_ends(store: Store, clock: Clock) -> None:
    target = collector(store, clock).report(CHECKOUT, "a", 100, 10, 1)
    assert (target.quota, target.until, target.boost) == (10, clock.now + QUOTA_S, None)


def test_statistics_are_added_up_by_window(store: Store, clock: Clock) -> None:
    sampling = collector(store, clock)
    begun = int(clock.now)
    sampling.report(CHECKOUT, "a", 100, 10, 1)
    sampling.report(CHECKOUT, "b", 50, 5, 0)
    clock.now += 10
    sampling.report(CHECKOUT, "a", 7, 2, 0)
    expected = [Summary(begun, "Default", 150, 15, 1), Summary(begun + 10, "Default", 7, 2, 0)]
    assert sampling.summaries() == expected
    sampling.share()
    assert sampling.summaries() == expected
    sampling.report(CHECKOUT, "a", 1, 1, 0)
    assert sampling.summaries()[-1] == Summary(begun + 10, "Default", 8, 3, 0)
    assert collector(store, clock).summaries() == expected
    clock.now += 3600
    assert sampling.summaries() == [Summary(begun + 10, "Default", 8, 3, 0)]


def test_collectors_share_one_reservoir(store: Store, clock: Clock) -> None:
    one, other = collector(store, clock), collector(store, clock)
    assert one.report(CHECKOUT, "a", 100, 0, 0).quota == 10
    one.share()
    other.share()
    assert other.report(CHECKOUT, "b", 100, 0, 0).quota == 0
    other.share()
    one.share()
    clock.now += 10
    assert one.report(CHECKOUT, "a", 100, 0, 0).quota == 5
    one.share()
    other.share()
    assert other.report(CHECKOUT, "b", 100, 0, 0).quota == 5
    # A client that goes to the other collector takes its quota along.
    other.share()
    one.share()
    clock.now += 10
    assert other.report(CHECKOUT, "a", 300, 0, 0).quota == 5
    assert other.report(CHECKOUT, "b", 100, 0, 0).quota == 2
    assert other.report(CHECKOUT, "a", 300, 0, 0).quota == 8


def test_clients_of_another_collector_that_fell_silent_are_forgotten(store: Store, clock: Clock) -> None:
    one, other = collector(store, clock), collector(store, clock)
    one.report(CHECKOUT, "a", 100, 0, 0)
    one.share()
    clock.now += 60
    other.share()
    assert other.report(CHECKOUT, "b", 100, 0, 0).quota == 10


def test_a_store_that_fails_loses_and_doubles_nothing(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling = collector(store, clock)
    whole = type(store.engine).insert

    def busy(*_: object, **__: object) -> None:
        raise StoreBusy("no")

    def stores_and_fails(*arguments: object, **named: object) -> None:
        whole(*arguments, **named)
        raise StoreBusy("the answer was lost")

    for insert in (busy, stores_and_fails):
        sampling.report(CHECKOUT, "a", 10, 1, 0)
        with monkeypatch.context() as patched:
            patched.setattr(type(store.engine), "insert", insert)
            with pytest.raises(StoreBusy):
                sampling.share()
    sampling.share()
    assert [each[2:] for each in sampling.summaries()] == [(20, 2, 0)]
    assert [each[2:] for each in collector(store, clock).summaries()] == [(20, 2, 0)]


def test_what_waits_for_the_store_is_bounded(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fluoro_collector.sampling.statistics.MOST_ROWS", 5)
    monkeypatch.setattr("fluoro_collector.sampling.statistics._MOST_BATCHES", 2)
    sampling = collector(store, clock)
    for number in range(20):
        sampling.report(CHECKOUT, f"client{number}", 1, 1, 0)
    assert [each[2:] for each in sampling.summaries()] == [(20, 20, 0)]

    def busy(*_: object, **__: object) -> None:
        raise StoreBusy("no")

    with monkeypatch.context() as patched:
        patched.setattr(type(store.engine), "insert", busy)
        for _ in range(3):
            with pytest.raises(StoreBusy):
                sampling.share()
            sampling.report(CHECKOUT, "a", 1, 1, 0)
    assert "are lost" in caplog.text
    sampling.share()
    assert [each[2:] for each in sampling.summaries()] == [(2, 2, 0)]


def test_a_rule_made_anew_has_its_whole_reservoir(store: Store, clock: Clock) -> None:
    sampling = collector(store, clock)
    assert sampling.report(CHECKOUT, "a", 1, 0, 0).quota == 10
    assert sampling.report(CHECKOUT, "b", 1, 0, 0).quota == 0
    sampling.forget("Default")
    assert sampling.report(CHECKOUT, "b", 1, 0, 0).quota == 10


def test_reservoirs_of_rules_that_are_gone_are_forgotten(store: Store, clock: Clock) -> None:
    sampling = collector(store, clock)
    gone = Rule(definition=Definition(rule_name="gone", rule_arn="arn", reservoir_size=10))
    sampling.report(gone, "a", 1, 0, 0)
    sampling.share()
    assert sampling.report(gone, "b", 1, 0, 0).quota == 10
