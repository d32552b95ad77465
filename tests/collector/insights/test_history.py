"""What is read of the days before, how often, and what it makes usual."""

from __future__ import annotations

import pytest

from fluoro_collector.insights.detect import judge
from fluoro_collector.insights.history import APART_S, BUCKET_S, DAYS, REACH_S, SLICE_S, History
from fluoro_collector.query.graph.outcomes import Counts, Outcomes

DAY, HOUR, MINUTE = 86_400, 3600, 60
NOW = 20_000 * DAY + 2 * HOUR + 20 * MINUTE  # twenty past two
NODE = ("web", "")


class Past:
    """A hundred requests a minute, one of them a fault; from two to half past two on `bad` days twenty."""

    def __init__(self, *bad: int) -> None:
        self.bad = bad
        self.read: list[tuple[int, int]] = []

    def __call__(self, first: int, last: int, period: int, edges: bool) -> dict[int, Outcomes]:
        assert (period, edges) == (BUCKET_S, False)
        self.read.append((first, last))
        return {moment: Outcomes({NODE: self.counts(moment)}, {}) for moment in range(first, last, period)}

    def counts(self, moment: int) -> Counts:
        before, second = NOW // DAY - moment // DAY, moment % DAY
        bad = before in self.bad and 2 * HOUR <= second < 2 * HOUR + 30 * MINUTE
        faults = (20 if bad else 1) * BUCKET_S // MINUTE
        return Counts(ok=100 * BUCKET_S // MINUTE - faults, fault=faults)


def alarm(past: Past) -> bool:
    expected = History(past).expected(NOW)(NODE)
    assert expected is not None
    return judge(expected, [Counts(ok=80, fault=20)] * 5).anomalous


def test_what_comes_every_night_is_usual() -> None:
    assert not alarm(Past(*range(1, DAYS + 1)))
    assert not alarm(Past(1, 2, 4, 6))
    assert alarm(Past())
    # An incident of yesterday, or of two nights, is not.
    assert alarm(Past(1))
    assert alarm(Past(3, 4))


def test_nothing_is_read_before_a_node_is_asked_for_and_nothing_twice() -> None:
    past = Past()
    history = History(past)
    of = history.expected(NOW)
    assert past.read == []
    assert of(NODE) is not None
    assert of(("nobody", "")) is None
    first = past.read.copy()
    end = (NOW - APART_S) // BUCKET_S * BUCKET_S
    recent = [(begin, until) for begin, until in first if until > NOW - REACH_S - APART_S and begin >= end - REACH_S]
    assert (recent[0][0], recent[-1][1]) == (end - REACH_S, end)
    assert all(until - begin <= SLICE_S for begin, until in first)
    assert len(first) - len(recent) == DAYS
    history.expected(NOW)(NODE)
    assert past.read == first
    history.expected(NOW + BUCKET_S)(NODE)
    assert past.read[len(first) :] == [(end, end + BUCKET_S)]
    history.expected(NOW + HOUR)(NODE)
    assert len(history._buckets) == REACH_S // BUCKET_S


def test_what_is_older_than_everything_is_not_read() -> None:
    past = Past()
    oldest = NOW - 2 * HOUR
    assert History(past, lambda: oldest).expected(NOW)(NODE) is not None
    assert len(past.read) == 1
    assert past.read[0][0] == pytest.approx(oldest, abs=BUCKET_S)


def test_a_service_that_is_new_is_not_judged() -> None:
    assert History(Past(), lambda: NOW - HOUR).expected(NOW)(NODE) is None
