from __future__ import annotations

import pytest

from fluoro_collector.sampling.boost import BOOST_S, KIND, Boosts
from fluoro_collector.sampling.rules import Boost, Definition, Rule
from fluoro_collector.store.configuration import Configuration
from fluoro_collector.store.engine import StoreBusy
from fluoro_collector.store.store import Store

START = 1_700_000_000.0


def rule(rate: float = 0.05, maximum: float = 1.0, minutes: int = 5, name: str = "checkout") -> Rule:
    boost = Boost(max_rate=maximum, cooldown_window_minutes=minutes)
    return Rule(definition=Definition(rule_name=name, rule_arn="arn", fixed_rate=rate, sampling_rate_boost=boost))


@pytest.fixture
def boosts(store: Store) -> Boosts:
    return Boosts(Configuration(store.engine))


def quiet(boosts: Boosts, checkout: Rule, *, anomalies: int = 0, until: float = START) -> None:
    """Five minutes before `until`, in reports of 100 requests."""
    for step in range(30):
        boosts.report(checkout, "web", anomalies, 100, 0, until - 300 + 10 * step)


def test_anomalies_raise_the_rate_for_a_minute(boosts: Boosts) -> None:
    checkout = rule()
    quiet(boosts, checkout)
    assert boosts.current(checkout, START) is None
    boosts.report(checkout, "web", 4, 100, 0, START)
    boosted = boosts.current(checkout, START)
    assert boosted is not None
    assert (boosted.rate, boosted.started, boosted.until) == (1.0, START, START + BOOST_S)
    assert boosts.current(checkout, START + BOOST_S - 0.1) == boosted
    assert boosts.current(checkout, START + BOOST_S) is None


def test_the_rate_is_what_it_takes_to_record_some_of_them(boosts: Boosts) -> None:
    checkout = rule()
    boosts.report(checkout, "web", 200, 1000, 0, START)
    boosted = boosts.current(checkout, START)
    assert boosted is not None
    assert boosted.rate == pytest.approx(0.1)


def test_the_rate_is_at_most_the_rules_maximum(boosts: Boosts) -> None:
    boosts.report(rule(maximum=0.3), "web", 2, 100, 0, START)
    boosted = boosts.current(rule(maximum=0.3), START)
    assert boosted is not None
    assert boosted.rate == 0.3
    lowered = boosts.current(rule(maximum=0.2), START)
    assert lowered is not None
    assert lowered.rate == 0.2
    without = Rule(definition=Definition(rule_name="checkout", rule_arn="arn"))
    assert boosts.current(without, START) is None


@pytest.mark.parametrize(
    ("anomalies", "total", "recorded", "rate"),
    [
        (0, 100, 0, 0.05),
        (1, 101, 0, 0.05),  # under one in a hundred
        (40, 100, 20, 0.05),  # enough of them are recorded
        (4, 100, 0, 1.0),  # nothing is over the rate that the rule has
        (0, 0, 0, 0.05),
    ],
)
def test_there_is_no_boost_without_need(boosts: Boosts, anomalies: int, total: int, recorded: int, rate: float) -> None:
    checkout = rule(rate)
    boosts.report(checkout, "web", anomalies, total, recorded, START)
    assert boosts.current(checkout, START) is None


def test_anomalies_that_are_usual_are_no_rise(boosts: Boosts) -> None:
    checkout = rule()
    for second in range(-300, 0, 10):
        boosts.report(checkout, "web", 6, 100, 20 if second < -10 else 0, START + second)
    boosts.report(checkout, "web", 8, 100, 0, START)
    assert boosts.current(checkout, START) is None
    boosts.report(checkout, "web", 60, 100, 0, START + 1)
    assert boosts.current(checkout, START + 1) is not None


def test_the_cooldown_counts_from_the_boosts_start(boosts: Boosts) -> None:
    checkout = rule(minutes=5)
    boosts.report(checkout, "web", 10, 100, 0, START)
    for second in range(10, 300, 10):
        boosts.report(checkout, "db" if second > 150 else "web", 50, 100, 0, START + second)
        assert (boosts.current(checkout, START + second) is not None) == (second < BOOST_S)
    boosts.report(checkout, "new", 50, 100, 0, START + 300)
    again = boosts.current(checkout, START + 300)
    assert again is not None
    assert again.started == START + 300


def test_without_a_cooldown_one_boost_can_follow_the_other(boosts: Boosts) -> None:
    checkout = rule(minutes=0)
    for second in (0, 30, 60):
        boosts.report(checkout, f"web{second}", 10, 100, 0, START + second)
    boosted = boosts.current(checkout, START + 60)
    assert boosted is not None
    assert boosted.started == START + 60


def test_services_are_looked_at_one_by_one(boosts: Boosts) -> None:
    checkout = rule()
    boosts.report(checkout, "large", 0, 1_000_000, 0, START)
    boosts.report(checkout, "small", 3, 10, 0, START)
    assert boosts.current(checkout, START) is not None


def test_collectors_share_a_boost_and_its_cooldown(store: Store) -> None:
    one, other = (Boosts(Configuration(store.engine, max_age_s=0)) for _ in range(2))
    checkout = rule()
    one.report(checkout, "web", 10, 100, 0, START)
    assert other.current(checkout, START + 5) == one.current(checkout, START + 5) is not None
    other.report(checkout, "web", 10, 100, 0, START + 70)
    assert other.current(checkout, START + 70) is None


def test_a_rule_made_anew_begins_anew(boosts: Boosts) -> None:
    boosts.report(rule(), "web", 10, 100, 0, START)
    boosts.forget("checkout")
    assert boosts.current(rule(), START) is None
    boosts.report(rule(), "web", 10, 100, 0, START + 1)
    assert boosts.current(rule(), START + 1) is not None


def test_a_store_that_is_busy_means_no_boost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = Configuration(store.engine)
    boosts = Boosts(configuration)
    assert boosts.current(rule(), START) is None

    def busy(*_: object, **__: object) -> None:
        raise StoreBusy("no")

    with monkeypatch.context() as patched:
        patched.setattr(type(store.engine), "insert", busy)
        boosts.report(rule(), "web", 10, 100, 0, START)
    assert configuration.get(KIND, "checkout") is None


def test_what_is_watched_is_bounded(boosts: Boosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fluoro_collector.sampling.boost._MOST_SERVICES", 5)
    for number in range(20):
        boosts.report(rule(), f"service{number}", 0, 10, 0, START)
    assert len(boosts._history) == 5
    for second in range(0, 3600, 10):
        boosts.report(rule(), "web", 0, 10, 0, START + second)
    assert len(boosts._history["checkout", "web"]) <= 32
