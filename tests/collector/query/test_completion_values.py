from __future__ import annotations

import time

import pytest

from fluoro.model import Http, Kind, Resource, Segment
from fluoro_collector.query.completion.values import keys, values
from fluoro_collector.rollup import Rollup, completions, job
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND

START, END = float(BASE), float(BASE + 7200)


def request(number: int, second: int = 0, **annotations: object) -> list[Segment]:
    trace_id = number.to_bytes(16, "big")
    at = (BASE + second) * SECOND
    return [
        Segment(
            trace_id,
            1,
            0,
            "web",
            at,
            at + SECOND,
            Kind.SERVER,
            http=Http(
                method="GET", url=f"http://web/{number % 2}", status=200, user_agent="curl", client_ip="10.0.0.1"
            ),
            user="ann",
            annotations=annotations,
        ),
        Segment(trace_id, 2, 1, "pay", at, at + SECOND, Kind.CLIENT, True, "remote", annotations=annotations),
    ]


def send(store: Store, rollup: Rollup, *segments: Segment) -> None:
    store.insert([(Resource(service_name="web"), list(segments))])
    rollup.touched({segment.start // SECOND for segment in segments})


def test_values_come_with_the_number_of_their_traces(store: Store) -> None:
    rollup = Rollup(store.engine)
    for number in range(1, 4):
        send(store, rollup, *request(number, tier="gold" if number < 3 else "Free", items=number, paid=True))
    send(store, rollup, *request(4, 3600, tier="free"))
    rollup.run_once()
    expected = {
        "http.method": [("GET", 4)],
        "http.url": [("http://web/0", 2), ("http://web/1", 2)],
        "http.status": [("200", 4)],
        "http.useragent": [("curl", 4)],
        "http.clientip": [("10.0.0.1", 4)],
        "user": [("ann", 4)],
        "service": [("pay", 4), ("web", 4)],
        "type": [("remote", 4)],
        "annotation.tier": [("gold", 2), ("Free", 1), ("free", 1)],
        "annotation.items": [("1", 1), ("2", 1), ("3", 1)],
        "annotation.paid": [("true", 3)],
        "annotation.unknown": [],
    }
    assert {key: values(store.engine, START, END, key) for key in expected} == expected
    assert values(store.engine, START, END, "annotation.tier", "F") == [("Free", 1), ("free", 1)]
    assert values(store.engine, START, START + 60, "annotation.tier", limit=1) == [("gold", 2)]
    assert keys(store.engine, START, END) == [("tier", 8), ("items", 6), ("paid", 6)]
    assert keys(store.engine, START, END, "P") == [("paid", 6)]
    assert keys(store.engine, END, END + 3600) == []


def test_what_is_too_long_to_choose_is_not_offered(store: Store) -> None:
    rollup = Rollup(store.engine)
    send(store, rollup, *request(1, tier="x" * 129, name="ü" * 128))
    rollup.run_once()
    assert values(store.engine, START, END, "annotation.tier") == []
    assert values(store.engine, START, END, "annotation.name") == [("ü" * 128, 1)]


def test_a_large_hour_is_asked_by_a_sample(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "SAMPLE", 50)
    monkeypatch.setattr(completions, "VALUES", 20)
    rollup = Rollup(store.engine)
    rows = [segment for number in range(1, 201) for segment in request(number, order=number)]
    send(store, rollup, *rows)
    rollup.run_once()
    assert len(values(store.engine, START, END, "annotation.order")) == 20
    assert keys(store.engine, START, END) == [("order", 400)]
    ((_, traces),) = values(store.engine, START, END, "user")
    assert traces % 4 == 0
    assert 100 <= traces <= 300


def test_an_hour_is_computed_at_most_every_five_minutes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    rollup = Rollup(store.engine)
    send(store, rollup, *request(1, tier="a"))
    rollup.run_once()
    send(store, rollup, *request(2, tier="b"))
    rollup.run_once()
    assert values(store.engine, START, END, "annotation.tier") == [("a", 1)]
    clock += job.COMPLETIONS_EVERY_S
    assert rollup.run_once() == 0
    assert values(store.engine, START, END, "annotation.tier") == [("a", 1), ("b", 1)]


def test_a_new_process_finds_hours_without_completions(store: Store) -> None:
    rollup = Rollup(store.engine)
    send(store, rollup, *request(1, tier="a"))
    rollup.run_once()
    store.engine.command("TRUNCATE TABLE completions_1h")
    Rollup(store.engine).run_once()
    assert values(store.engine, START, END, "annotation.tier") == [("a", 1)]
