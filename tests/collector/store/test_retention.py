"""Retention with days of made-up age: what goes, what stays, and that a run may be cut off anywhere."""

from __future__ import annotations

import uuid
from datetime import date

import pytest

from contracts.segments import RESOURCE, full_segment
from fluoro.errors import SettingsError
from fluoro_collector import keep
from fluoro_collector.settings import Settings
from fluoro_collector.store.engine import Engine, StoreBusy
from fluoro_collector.store.retention import Retention, partition_end
from fluoro_collector.store.store import Store

DAY = 86_400
NOW = 1_790_000_000  # 2026-09-21 14:13:20 UTC


def add(store: Store, *ages: float, trace: int = 0, number: int = 0, **flags: bool) -> None:
    """One segment per age in days; each its own trace unless `trace` is given, which is also its id."""
    rows = []
    for age in ages:
        start = int((NOW - age * DAY) * 10**9)
        id_ = trace or int(age * 1000)
        outcome = {"error": False, "throttle": False, "fault": False, **flags}
        rows.append(full_segment(id=number or id_, trace_id=id_.to_bytes(16, "big"), start=start, end=start, **outcome))
    store.insert([(RESOURCE, rows)], uuid.uuid4().hex)


def ids(engine: Engine) -> list[int]:
    return sorted(engine.query("SELECT id FROM segments")["id"])


def run(engine: Engine, keep_days: int, keep_error_days: int, now: float = NOW) -> list[str]:
    return Retention(engine, keep_days, keep_error_days, clock=lambda: now).run_once()


def test_nothing_younger_than_the_retention_goes(embedded_store: Store) -> None:
    add(embedded_store, 0, 29, 30, 30.5, 31, 31.7, 400)
    run(embedded_store.engine, 30, 30)
    # The day that began 30 days and 14 hours ago has rows that are younger than 30 days.
    assert ids(embedded_store.engine) == [0, 29_000, 30_000, 30_500]
    run(embedded_store.engine, 30, 30, NOW + DAY)
    assert ids(embedded_store.engine) == [0, 29_000]


def test_traces_with_an_error_stay_longer_and_whole(store: Store) -> None:
    add(store, 5, 10)
    add(store, 6, fault=True)
    add(store, 7, error=True)
    add(store, 7.2, throttle=True)
    add(store, 8, trace=1)
    add(store, 8, trace=1, number=2, fault=True)
    add(store, 40, fault=True)
    # Over midnight: the error is in the next day, which is still young.
    add(store, 4.7, trace=3, number=4, fault=True)
    add(store, 5.0, trace=3)
    assert run(store.engine, 3, 30)
    assert ids(store.engine) == [1, 2, 3, 4, 6_000, 7_000, 7_200]
    assert run(store.engine, 3, 30) == []


def test_errors_may_stay_for_ever_and_so_may_everything(embedded_store: Store) -> None:
    add(embedded_store, 1, 50)
    add(embedded_store, 900, fault=True)
    assert run(embedded_store.engine, 0, 0) == []
    run(embedded_store.engine, 3, 0)
    assert ids(embedded_store.engine) == [1_000, 900_000]


def test_every_table_is_cut_and_the_version_of_a_minute_stays(embedded_store: Store) -> None:
    old, older = NOW - 10 * DAY, NOW - 100 * DAY
    add(embedded_store, 10)
    traces = {
        "minute": ("DateTime('UTC')", [old, old, old, older]),
        "trace_id": ("FixedString(16)", [bytes(16), b"a" * 16, (10_000).to_bytes(16, "big"), b"b" * 16]),
        "version": ("UInt64", [1, 1, 1, 1]),
    }
    embedded_store.engine.insert("traces", traces)
    nodes = {"minute": ("DateTime('UTC')", [old, older]), "version": ("UInt64", [1, 1])}
    embedded_store.engine.insert("nodes_1m", nodes)
    embedded_store.engine.insert("edges_1m", nodes)
    run(embedded_store.engine, 3, 60)
    assert embedded_store.engine.query("SELECT trace_id FROM traces") == {"trace_id": [bytes(16)]}
    assert embedded_store.engine.query("SELECT toUnixTimestamp(minute) AS m FROM nodes_1m") == {"m": [old]}
    assert embedded_store.engine.query("SELECT toUnixTimestamp(minute) AS m FROM edges_1m") == {"m": [old]}


def test_a_run_that_was_cut_off_goes_on(embedded_store: Store) -> None:
    add(embedded_store, 5, 6, 7)
    add(embedded_store, 5.1, 6.1, 7.1, fault=True)

    class Failing:
        """The engine until it has run `left` commands."""

        cluster = ""

        def __init__(self, left: int) -> None:
            self.left = left
            self.query, self.insert = embedded_store.engine.query, embedded_store.engine.insert

        def command(self, sql: str) -> None:
            self.left -= 1
            if self.left < 0:
                raise StoreBusy("cut off")
            embedded_store.engine.command(sql)

        def close(self) -> None:
            pass

    with pytest.raises(StoreBusy):
        run(Failing(1), 3, 30)
    assert len(run(embedded_store.engine, 3, 30)) == 2
    assert ids(embedded_store.engine) == [5_100, 6_100, 7_100]


def test_two_collectors_may_do_it_together(embedded_store: Store) -> None:
    add(embedded_store, 5)
    add(embedded_store, 5.1, fault=True)
    one, two = (Retention(embedded_store.engine, 3, 30, clock=lambda: NOW) for _ in range(2))
    one.run_once()
    two.run_once()
    assert ids(embedded_store.engine) == [5_100]


@pytest.mark.parametrize(
    ("partition", "end"),
    [
        ("2026-01-31", date(2026, 1, 31)),
        ("202602", date(2026, 2, 28)),
        ("202612", date(2026, 12, 31)),
        ("2025", date(2025, 12, 31)),
        ("tuple()", None),
        ("all", None),
        ("123456", None),
    ],
)
def test_the_end_of_a_partition(partition: str, end: date | None) -> None:
    assert partition_end(partition) == end


@pytest.mark.parametrize(("text", "days"), [("30d", 30), ("8w", 56), (" 1 D ", 1), ("forever", 0), ("0", 0)])
def test_a_time_to_keep(text: str, days: int) -> None:
    assert keep.days(text) == days


@pytest.mark.parametrize("text", ["", "30", "12h", "d", "-1d", "1.5d", "9999999d", "99999d", "²d"])
def test_a_wrong_time_to_keep_is_told_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="30d or 8w, or forever"):
        keep.days(text)


def test_the_settings() -> None:
    assert (Settings().retention_days, Settings().retention_error_days) == (30, 30)
    both = Settings(retention="2w", retention_errors="forever")
    assert (both.retention_days, both.retention_error_days) == (14, 0)
    for wrong in ({"retention": "soon"}, {"retention_errors": "7d"}, {"retention": "0", "retention_errors": "90d"}):
        with pytest.raises(SettingsError, match="--retention"):
            Settings(**wrong)
