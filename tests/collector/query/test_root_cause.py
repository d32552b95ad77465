"""Root causes of hand-made traces, of random ones, and of shapes made to cost time."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro.model import Cause, ExceptionRecord, Frame, Kind, Resource, Segment, Sql
from fluoro_collector.query.trace.root_cause import (
    MAX_CAUSES,
    MAX_PATH,
    CauseRow,
    RootCauses,
    root_causes,
    root_causes_of,
)
from fluoro_collector.query.trace.root_cause import Cause as RootCause
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import random_traces

TRACE = b"t" * 16


def row(id_: int, parent: int, begin: float, end: float, name: str = "step", **fields: Any) -> CauseRow:
    """Times in seconds; `end` 0 is in progress. A row with `segment` is a service's own, one with `peer` a call."""
    segment, peer = fields.pop("segment", False), fields.pop("peer", ("", ""))
    values: dict[str, Any] = {
        "subsegment": not segment,
        "answers": segment,
        "called": bool(peer[0]),
        "service": name if segment else "",
        "origin": "",
        "error": 0,
        "fault": 0,
        "resource_id": 0,
        "exceptions": [],
        **fields,
    }
    return CauseRow(
        TRACE,
        id_,
        parent,
        round(begin * SECOND),
        round(end * SECOND),
        name=name,
        peer_name=peer[0],
        peer_type=peer[1],
        **values,
    )


def shown(causes: tuple[RootCause, ...]) -> list[tuple[bool, list[str]]]:
    """Each cause as "service|type[: inferred]: entity > entity"."""
    return [
        (
            cause.client_impacting,
            [
                f"{each.name}|{each.type}{' inferred' if each.inferred else ''}: "
                + " > ".join(entity.name for entity in each.entities)
                for each in cause.services
            ],
        )
        for cause in causes
    ]


def test_a_failure_is_followed_into_the_service_that_was_called() -> None:
    found = root_causes_of(
        [
            row(1, 0, 0, 10, "web", segment=True, fault=1),
            row(2, 1, 1, 9, "checkout", fault=1),
            row(3, 2, 2, 8, "orders", peer=("orders", "remote"), fault=1),
            row(4, 3, 2, 8, "orders", segment=True, origin="AWS::ECS::Container", fault=1, resource_id=7),
            row(5, 4, 3, 4, "decode", fault=1, exceptions=[("ValueError", "quota hit")]),
            row(6, 4, 5, 6, "log"),
        ],
        {7: "123456789012"},
    )
    assert shown(found.fault) == [
        (True, ["web|: web > checkout > orders", "orders|AWS::ECS::Container: orders > decode"])
    ]
    assert found.error == ()
    last = found.fault[0].services[-1]
    assert last.account == "123456789012"
    assert last.entities[-1].exceptions == (("ValueError", "quota hit"),)
    assert [entity.remote for entity in found.fault[0].services[0].entities] == [False, False, True]


def test_a_call_that_nobody_answers_ends_in_an_inferred_service() -> None:
    found = root_causes_of(
        [
            row(1, 0, 0, 10, "web", segment=True, error=1),
            row(2, 1, 1, 3, "DynamoDB", peer=("orders", "AWS::DynamoDB::Table"), error=1),
        ],
        {},
    )
    assert shown(found.error) == [(True, ["web|: web > DynamoDB", "orders|AWS::DynamoDB::Table inferred: orders"])]
    assert found.error[0].services[1].entities[0].coverage == 0


def test_an_answered_call_that_failed_alone_is_the_callers_fault() -> None:
    """A time-out: the callee answered well, too late."""
    found = root_causes_of(
        [
            row(1, 0, 0, 10, "web", segment=True),
            row(2, 1, 0, 1, "pay", peer=("pay", "remote"), fault=1),
            row(3, 2, 0, 9, "pay", segment=True),
        ],
        {},
        ["fault"],
    )
    assert shown(found.fault) == [(False, ["web|: web > pay"])]


def test_a_queue_that_a_consumer_took_from_is_still_inferred() -> None:
    found = root_causes_of(
        [
            row(1, 0, 0, 10, "web", segment=True, fault=1),
            row(2, 1, 0, 1, "SQS", peer=("https://q", "AWS::SQS::Queue"), fault=1),
            row(3, 2, 5, 9, "worker", segment=True, answers=0),
        ],
        {},
    )
    assert shown(found.fault) == [(True, ["web|: web > SQS", "https://q|AWS::SQS::Queue inferred: https://q"])]


def test_what_reached_the_client_comes_first() -> None:
    found = root_causes_of(
        [
            row(1, 0, 0, 10, "web", segment=True, fault=1),
            row(2, 1, 1, 2, "retried", fault=0),
            row(3, 2, 1, 2, "cache", peer=("cache", "remote"), fault=1),
            row(4, 1, 3, 4, "pay", peer=("pay", "remote"), fault=1),
        ],
        {},
    )
    assert shown(found.fault) == [
        (True, ["web|: web > pay", "pay|remote inferred: pay"]),
        (False, ["web|: web > retried > cache", "cache|remote inferred: cache"]),
    ]


def test_a_loop_of_failing_calls_is_one_cause() -> None:
    calls = [row(number, 1, number, number + 0.5, "pay", peer=("pay", "remote"), fault=1) for number in range(2, 50)]
    found = root_causes_of([row(1, 0, 0, 100, "web", segment=True, fault=1), *calls], {})
    assert len(found.fault) == 1


def test_a_subsegment_that_names_another_service_belongs_to_it() -> None:
    found = root_causes_of(
        [
            row(1, 0, 0, 10, "web", segment=True, fault=1),
            row(2, 1, 1, 2, "render", service="web", fault=1),
            row(3, 2, 1, 2, "score", service="models", fault=1),
        ],
        {},
    )
    assert shown(found.fault) == [(True, ["web|: web > render", "models|: score"])]


def test_the_failure_of_an_orphan_did_not_reach_the_client() -> None:
    found = root_causes_of(
        [row(1, 0, 0, 10, "web", segment=True, fault=1), row(3, 99, 1, 2, "pay", segment=True, fault=1)], {}
    )
    assert shown(found.fault) == [(True, ["web|: web"]), (False, ["pay|: pay"])]


def test_time_is_followed_to_where_it_was_spent() -> None:
    """The recorded cold start: the service, its function, the initialisation."""
    found = root_causes_of(
        [
            row(1, 0, 0, 1, "fn", segment=True, origin="AWS::Lambda"),
            row(2, 1, 0.01, 0.99, "fn", segment=True, origin="AWS::Lambda::Function"),
            row(3, 2, 0.02, 0.8832, "Initialization"),
            row(4, 2, 0.89, 0.95, "Invocation"),
        ],
        {},
        ["response_time"],
    )
    assert shown(found.response_time) == [
        (True, ["fn|AWS::Lambda: fn", "fn|AWS::Lambda::Function: fn > Initialization"])
    ]
    coverage = [entity.coverage for service in found.response_time[0].services for entity in service.entities]
    assert coverage == [1.0, 0.98, 0.863]
    assert found.fault == ()


def test_time_stays_where_no_child_took_more_than_the_work_itself() -> None:
    many = [
        row(number, 1, number / 100, (number + 0.5) / 100, "query", peer=("db", "Database::SQL"))
        for number in range(2, 90)
    ]
    found = root_causes_of([row(1, 0, 0, 1, "web", segment=True), *many], {})
    assert shown(found.response_time) == [(True, ["web|: web"])]


def test_of_calls_side_by_side_the_longest_is_followed() -> None:
    found = root_causes_of(
        [
            row(1, 0, 0, 10, "web", segment=True),
            row(2, 1, 0, 6, "pay", peer=("pay", "remote")),
            row(3, 1, 0, 9, "orders", peer=("orders", "remote")),
        ],
        {},
    )
    assert shown(found.response_time) == [(True, ["web|: web > orders", "orders|remote inferred: orders"])]


def test_asynchronous_work_is_not_what_the_client_waited_for() -> None:
    found = root_causes_of([row(1, 0, 0, 1, "web", segment=True), row(2, 1, 0.9, 60, "mail")], {})
    assert shown(found.response_time) == [(True, ["web|: web"])]


def test_a_root_in_progress_has_no_response_time_cause() -> None:
    assert root_causes_of([row(1, 0, 0, 0, "web", segment=True), row(2, 1, 1, 2)], {}) == RootCauses()


def test_only_the_kinds_asked_for_are_computed() -> None:
    rows = [row(1, 0, 0, 1, "web", segment=True, fault=1, error=1)]
    assert root_causes_of(rows, {}, ["error"]) == RootCauses(error=root_causes_of(rows, {}).error)
    assert root_causes_of(rows, {}, []) == RootCauses()


COUNT = 20_000


def _chain() -> list[CauseRow]:
    return [row(number, number - 1, 0, 1, fault=1) for number in range(1, COUNT + 1)]


def _ladder() -> list[CauseRow]:
    """Deep, and a failing leaf of its own on every rung."""
    spine = [row(number, number - 1, 0, 1) for number in range(1, COUNT // 2)]
    return spine + [row(COUNT + number, number, 0, 1, f"leaf {number}", fault=1) for number in range(1, COUNT // 2)]


def _fan() -> list[CauseRow]:
    children = [row(number, 1, 0, 1 / number, f"child {number}", fault=1) for number in range(2, COUNT)]
    return [row(1, 0, 0, 1, "web", segment=True, fault=1), *children]


def _cycle() -> list[CauseRow]:
    return [row(number, number % COUNT + 1, 0, 1, fault=1, error=1) for number in range(1, COUNT + 1)]


@pytest.mark.parametrize("shape", [_chain, _ladder, _fan, _cycle])
def test_hostile_shapes_cost_linear_time(shape: Any) -> None:
    rows = shape()
    began = time.process_time()
    found = root_causes_of(rows, {})
    assert time.process_time() - began < 3  # about 0.1 s; what is quadratic takes minutes
    assert 1 <= len(found.fault) <= MAX_CAUSES
    for cause in found.fault + found.response_time:
        assert sum(len(service.entities) for service in cause.services) <= MAX_PATH + 1


@st.composite
def traces(draw: st.DrawFn) -> list[CauseRow]:
    """Any parents, times and flags."""
    small = st.integers(0, 12)
    ids = draw(st.lists(st.integers(1, 12), min_size=1, max_size=10, unique=True))
    return [
        row(
            id_,
            draw(small),
            draw(small),
            draw(small),
            draw(st.sampled_from(["a", "b", ""])),
            segment=draw(st.booleans()),
            peer=draw(st.sampled_from([("", ""), ("p", "remote")])),
            fault=draw(st.integers(0, 1)),
            error=draw(st.integers(0, 1)),
            exceptions=draw(st.sampled_from([[], [("E", "m")]])),
        )
        for id_ in ids
    ]


@given(traces(), st.randoms())
def test_any_trace_has_causes_where_it_failed(rows: list[CauseRow], rng: random.Random) -> None:
    found = root_causes_of(rows, {})
    assert bool(found.fault) == any(each.fault for each in rows)
    assert bool(found.error) == any(each.error for each in rows)
    for cause in found.fault + found.error + found.response_time:
        entities = [entity for service in cause.services for entity in service.entities]
        assert entities
        assert all(service.entities for service in cause.services)
        assert all(0 <= entity.coverage <= 1 for entity in entities)
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert root_causes_of(shuffled, {}) == found


def test_causes_are_read_from_the_store(store: Store) -> None:
    """Unfinished copies do not count; stacks stay where they are; the account comes from the resource."""
    at = BASE * SECOND
    trace_id = BASE.to_bytes(4, "big") + b"c" * 12
    cause = Cause([ExceptionRecord("1" * 16, "OSError", "refused", stack=[Frame("a.py", 1, "f")] * 50)])
    root = Segment(trace_id, 1, 0, "web", at, at + SECOND, Kind.SERVER, fault=True)
    call = Segment(
        trace_id, 2, 1, "shop@db", at, at + SECOND // 2, Kind.CLIENT, True, "remote", fault=True, sql=Sql(), cause=cause
    )
    unfinished = Segment(trace_id, 2, 1, "shop@db", at, 0, Kind.CLIENT, True, "remote", in_progress=True)
    resource = Resource(service_name="web", attributes={"cloud.account.id": "123456789012"})
    store.insert([(resource, [root, call])])
    store.insert([(resource, [unfinished])])
    missing = b"m" * 16
    found = root_causes(store.engine, [trace_id, missing, trace_id], at, at + SECOND)
    assert list(found) == [trace_id]
    assert shown(found[trace_id].fault) == [(True, ["web|: web > shop@db", "shop@db|Database::SQL inferred: shop@db"])]
    web, database = found[trace_id].fault[0].services
    assert (web.account, database.account) == ("123456789012", "")
    assert web.entities[1].exceptions == (("OSError", "refused"),)
    assert shown(found[trace_id].response_time) == [(True, ["web|: web"])]  # the call took no longer than the rest


def test_many_traces_at_once_are_each_on_its_own(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_traces(5, BASE * SECOND, 40)
    store.insert([(resource, [segment]) for resource, segment in rows])
    ids = sorted({segment.trace_id for _, segment in rows})
    together = root_causes(store.engine, ids, BASE * SECOND, (BASE + 3600) * SECOND)
    monkeypatch.setattr("fluoro_collector.query.trace.root_cause.MAX_ROWS", 30)
    in_parts = root_causes(store.engine, ids, BASE * SECOND, (BASE + 3600) * SECOND)
    assert set(together) == set(in_parts) == set(ids)
    sizes = {id_: sum(segment.trace_id == id_ for _, segment in rows) for id_ in ids}
    for id_ in ids:
        assert in_parts[id_] == (RootCauses() if sizes[id_] > 30 else together[id_])
        assert bool(together[id_].fault) == any(each.fault for _, each in rows if each.trace_id == id_)
