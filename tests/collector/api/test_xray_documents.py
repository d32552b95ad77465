"""Documents of stored traces: their shape, their way back through the decoder, and pages of BatchGetTraces."""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fluoro.model import Http, Kind, Resource, Segment
from fluoro_collector.api.xray import batch, documents
from fluoro_collector.api.xray.documents import lone_documents, plan, trace_documents
from fluoro_collector.api.xray.request import XRayError
from fluoro_collector.decode.xray import decode
from fluoro_collector.query.ids import format_trace_id
from fluoro_collector.query.trace import reading as trace_read
from fluoro_collector.query.trace.reading import Outline, outline
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND
from random_traces import random_traces

AT = BASE * SECOND
TRACE = BASE.to_bytes(4, "big") + b"d" * 12
NAME = format_trace_id(TRACE)
WEB = Resource(service_name="web")


def segment(id_: int, parent: int, name: str = "web", **fields: Any) -> Segment:
    at = AT + id_ * 1000
    return Segment(TRACE, id_, parent, name, at, at + SECOND, **fields)


def work(id_: int, parent: int, name: str = "step", **fields: Any) -> Segment:
    return segment(id_, parent, name, subsegment=True, **fields)


def read(store: Store) -> Outline:
    found = outline(store.engine, TRACE)
    assert found is not None
    return found


def made(store: Store) -> list[dict[str, Any]]:
    found = read(store)
    return [json.loads(each.text) for part in trace_documents(store.engine, found, plan(found)) for each in part]


def ids_below(document: dict[str, Any]) -> Iterable[str]:
    pending = [document]
    while pending:
        each = pending.pop()
        yield each["id"]
        pending += each.get("subsegments", ())


def test_the_operation_of_a_plain_span_comes_back(store: Store) -> None:
    """Its segment has the service's name, and no section of a document says what was done."""
    spans = [segment(1, 0, operation="nightly report"), work(2, 1, operation="GET /x")]
    store.insert([(WEB, spans)])
    [document] = made(store)
    assert document["name"] == "web"
    assert document["metadata"] == {"fluoro": {"operation": "nightly report"}}
    [(_, back)] = decode([json.dumps(document)]).batches
    assert [(each.name, each.operation, each.metadata) for each in back] == [
        ("web", "nightly report", None),
        ("step", "GET /x", None),
    ]


def test_an_operation_that_a_reader_finds_out_is_not_written(store: Store) -> None:
    store.insert([(WEB, [segment(1, 0, operation="GET /cart", http=Http("GET", "http://h/cart", 200))])])
    assert "metadata" not in made(store)[0]


def test_sections_with_nothing_usable_come_back_empty(store: Store) -> None:
    sent = {"id": f"{1:016x}", "trace_id": NAME, "name": "web", "start_time": BASE, "end_time": BASE + 1}
    [(resource, segments)] = decode([json.dumps({**sent, "http": {"odd": 1}, "aws": {}, "metadata": {}})]).batches
    store.insert([(resource, segments)])
    [document] = made(store)
    assert (document["http"], document["aws"], document["metadata"]) == ({}, {}, {})
    assert "sql" not in document


def test_documents_of_random_traces_come_back(store: Store) -> None:
    """Everything but the inferred segments, decoded again, is what was stored, as far as X-Ray has fields for it."""
    rows = random_traces(21, AT, 10)
    store.insert([(resource, [each]) for resource, each in rows])
    stored = {(each.trace_id, each.id): each for _, each in rows}
    back: dict[tuple[bytes, int], Segment] = {}
    for trace_id in {each.trace_id for _, each in rows}:
        found = outline(store.engine, trace_id)
        assert found is not None
        texts = [each.text for part in trace_documents(store.engine, found, plan(found)) for each in part]
        decoded = decode([text for text in texts if '"inferred":true' not in text])
        assert decoded.rejections == []
        back |= {(each.trace_id, each.id): each for _, batch_ in decoded.batches for each in batch_}
    assert set(back) == set(stored)
    for key, was in stored.items():
        now = back[key]
        assert (now.parent_id, now.name, now.subsegment, now.namespace) == (
            was.parent_id,
            was.name,
            was.subsegment,
            was.namespace,
        )
        assert (now.error, now.throttle, now.fault, now.aws, now.origin) == (
            was.error,
            was.throttle,
            was.fault,
            was.aws,
            was.origin,
        )
        assert abs(now.start - was.start) < 2000


def test_a_document_holds_so_many_segments_and_the_rest_stands_alone(store: Store) -> None:
    store.insert([(WEB, [segment(1, 0), *(work(number, 1) for number in range(2, 52)), work(60, 51), work(61, 60)])])
    found = read(store)
    planned = plan(found, 10)
    assert sorted(index for members in planned for index in members) == list(range(len(found)))
    assert [len(members) for members in planned] == [10, *[1] * 40, 3]
    whole = [json.loads(each.text) for part in trace_documents(store.engine, found, planned) for each in part]
    assert (whole[1]["type"], whole[1]["parent_id"]) == ("subsegment", f"{1:016x}")
    decoded = decode([json.dumps(each) for each in whole])
    assert {each.id: each.parent_id for _, back in decoded.batches for each in back} == dict(
        zip(found.ids, found.parent_ids, strict=True)
    )


def test_deep_nesting_is_broken_up(store: Store) -> None:
    store.insert([(WEB, [segment(1, 0), *(work(number, number - 1) for number in range(2, 251))])])
    assert [len(list(ids_below(each))) for each in made(store)] == [101, 101, 48]


def pages(store: Store, *names: str) -> list[dict[str, Any]]:
    shared: Any = SimpleNamespace(engine=store.engine)
    found = [batch.batch_get_traces(shared, names, "")]
    while token := found[-1].get("NextToken"):
        found.append(batch.batch_get_traces(shared, names, token))
    return found


def test_a_large_trace_goes_on_from_page_to_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [work(number + 500, number, "orders", namespace="remote", kind=Kind.CLIENT) for number in range(1, 41)]
    store.insert([(WEB, [*(segment(number, 0) for number in range(1, 41)), *calls])])
    other = BASE.to_bytes(4, "big") + b"e" * 12
    store.insert([(WEB, [msgspec.structs.replace(segment(1, 0), trace_id=other)])])
    names = (NAME, "nonsense", format_trace_id(other))
    [whole] = pages(store, *names)
    monkeypatch.setattr(batch, "PAGE_CHARACTERS", 3000)
    monkeypatch.setattr(trace_read, "PART", 7)
    monkeypatch.setattr(documents, "PART", 7)
    found = pages(store, *names)
    assert len(found) > 5
    assert sum(sum(len(each["Document"]) for each in t["Segments"]) for t in found[0]["Traces"]) < 4000
    joined = [each for page in found for trace in page["Traces"] for each in trace["Segments"]]
    assert joined == [each for trace in whole["Traces"] for each in trace["Segments"]]
    assert len(joined) == 81
    assert {trace["Id"] for page in found for trace in page["Traces"]} == {NAME, format_trace_id(other)}
    assert [name for page in found for name in page["UnprocessedTraceIds"]] == ["nonsense"]
    assert not any(trace["LimitExceeded"] for page in found for trace in page["Traces"])


@pytest.mark.parametrize("token", ["x", "é", "bm9uc2Vuc2U=", "WyIiLC0xLDBd"])
def test_a_token_of_another_question_is_refused(store: Store, token: str) -> None:
    shared: Any = SimpleNamespace(engine=store.engine)
    with pytest.raises(XRayError, match="NextToken"):
        batch.batch_get_traces(shared, [NAME], token)


def test_only_what_was_left_out_exceeds_the_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.insert([(WEB, [segment(1, 0), work(2, 1), work(3, 1)])])
    monkeypatch.setattr(trace_read, "PART", 1)
    monkeypatch.setattr(trace_read, "MAX_SEGMENTS", 3)
    assert pages(store, NAME)[0]["Traces"][0]["LimitExceeded"] is False
    monkeypatch.setattr(trace_read, "MAX_SEGMENTS", 2)
    [trace] = pages(store, NAME)[0]["Traces"]
    assert trace["LimitExceeded"] is True
    assert list(ids_below(json.loads(trace["Segments"][0]["Document"]))) == [f"{1:016x}", f"{2:016x}"]


def test_a_document_that_is_too_long_says_what_it_lost(store: Store) -> None:
    metadata = {"default": {"large": "x" * 10_000}}
    store.insert([(WEB, [segment(1, 0, metadata=metadata, annotations={"kept": 1}), work(2, 1, "kept too")])])
    found = read(store)
    cut, kept = lone_documents(store.engine, found, plan(found)[0], 1000)
    assert len(cut.text) <= 1000
    document = json.loads(cut.text)
    assert document["metadata"] == {"fluoro": {"trimmed": ["metadata"]}}
    assert document["annotations"] == {"kept": 1}
    assert json.loads(kept.text)["parent_id"] == f"{1:016x}"
    assert "trimmed" not in kept.text
