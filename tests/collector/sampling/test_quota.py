from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro_collector.sampling.quota import split
from fluoro_collector.sampling.reservoirs import ACTIVE_S, INTERVAL_S, Reservoirs

DEMANDS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 2**31 - 1), max_size=30)


@pytest.mark.parametrize(
    ("reservoir", "demands", "quotas"),
    [
        (10, {"a": 5}, {"a": 10}),
        (10, {"a": 100, "b": 100}, {"a": 5, "b": 5}),
        (10, {"a": 90, "b": 10}, {"a": 9, "b": 1}),
        (10, {"a": 999, "b": 1}, {"a": 9, "b": 1}),
        (100, {"a": 700, "b": 200, "c": 100}, {"a": 70, "b": 20, "c": 10}),
        (3, {"a": 1, "b": 1}, {"a": 2, "b": 1}),
        (2, {"a": 1, "b": 5, "c": 3}, {"a": 0, "b": 1, "c": 1}),
        (5, {"a": 0, "b": 10}, {"a": 1, "b": 4}),
        (5, {"a": 0}, {"a": 1}),
        (0, {"a": 3}, {"a": 0}),
        (9, {}, {}),
    ],
)
def test_a_reservoir_is_split_by_demand(reservoir: int, demands: dict[str, int], quotas: dict[str, int]) -> None:
    assert split(reservoir, demands) == quotas


@given(st.integers(0, 500), DEMANDS)
def test_quotas_fill_the_reservoir_and_no_more(reservoir: int, demands: Mapping[str, int]) -> None:
    quotas = split(reservoir, demands)
    assert quotas.keys() == demands.keys()
    total = sum(quotas.values())
    assert total <= reservoir
    if any(demands.values()):
        assert total == reservoir


@given(st.integers(0, 500), DEMANDS)
def test_quotas_are_fair_and_starve_nobody_while_any_remains(reservoir: int, demands: Mapping[str, int]) -> None:
    quotas = split(reservoir, demands)
    for one, quota in quotas.items():
        for other, less in quotas.items():
            if demands[one] > demands[other]:
                assert quota >= less
            elif demands[one] == demands[other]:
                assert abs(quota - less) <= 1
    if len(demands) <= reservoir:
        assert all(quota >= 1 for quota in quotas.values())
        asked = sum(demands.values())
        if asked and all(reservoir * each >= asked for each in demands.values()):
            assert all(abs(quotas[each] - reservoir * demands[each] / asked) < 1 for each in demands)


STEPS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 1000), st.floats(0, 2 * ACTIVE_S)), min_size=1, max_size=60
)


@given(st.integers(0, 20), STEPS)
def test_what_is_lent_is_never_more_than_the_reservoir(size: int, steps: list[tuple[str, int, float]]) -> None:
    reservoirs = Reservoirs()
    lent: dict[str, tuple[float, int]] = {}
    now = 1_000.0
    for client, demand, pause in steps:
        now += pause
        lent[client] = (now, reservoirs.lend("rule", size, client, demand, now))
        active = [quota for reported, quota in lent.values() if now - reported <= ACTIVE_S]
        assert sum(active) <= size


@given(st.integers(0, 50), st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 1000), min_size=1))
def test_clients_that_go_on_reporting_get_their_share(size: int, demands: dict[str, int]) -> None:
    reservoirs = Reservoirs()
    lent: dict[str, int] = {}
    for interval in range(3):
        for place, (client, demand) in enumerate(demands.items()):
            lent[client] = reservoirs.lend("rule", size, client, demand, interval * INTERVAL_S + place / 100)
    assert lent == split(size, demands)


def test_a_client_that_falls_silent_leaves_its_part_to_the_others() -> None:
    reservoirs = Reservoirs()
    assert reservoirs.lend("rule", 10, "a", 100, 0) == 10
    assert reservoirs.lend("rule", 10, "b", 100, 1) == 0
    assert reservoirs.lend("rule", 10, "a", 100, 10) == 5
    assert reservoirs.lend("rule", 10, "b", 100, 11) == 5
    assert reservoirs.lend("rule", 10, "b", 100, 30) == 5
    assert reservoirs.lend("rule", 10, "b", 100, 40) == 10


def test_a_changed_reservoir_is_lent_anew() -> None:
    reservoirs = Reservoirs()
    assert reservoirs.lend("rule", 10, "a", 1, 0) == 10
    assert reservoirs.lend("rule", 4, "a", 1, 0.1) == 4
    assert reservoirs.lend("rule", 40, "a", 1, 0.2) == 40


def test_many_clients_cost_one_split_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    splits: list[int] = []

    def counted(reservoir: int, demands: Mapping[str, int]) -> dict[str, int]:
        splits.append(len(demands))
        return split(reservoir, demands)

    monkeypatch.setattr("fluoro_collector.sampling.reservoirs.split", counted)
    reservoirs = Reservoirs()
    for number in range(400):
        reservoirs.lend("rule", 1000, f"client{number}", 1, 100 + number / 1000)
    assert len(splits) == 200
    assert sum(reservoirs.lend("rule", 1000, f"client{number}", 1, 110 + number / 100) for number in range(400)) <= 1000


def test_clients_of_one_rule_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fluoro_collector.sampling.reservoirs.MOST_CLIENTS", 3)
    reservoirs = Reservoirs()
    assert [reservoirs.lend("rule", 10, client, 1, 0) for client in "abcd"] == [10, 0, 0, 0]
    reservoirs.learn("rule", "e", 1, 1, 0)
    assert reservoirs.lend("rule", 10, "a", 1, 10) == 4
    assert reservoirs.lend("other", 10, "d", 1, 10) == 10
