"""Any segments become documents that fit, and read back to the same ids."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from fluoro.model import Cause, ExceptionRecord, Frame, Http, Kind, Link, Resource, Segment, Sql
from fluoro.transport.xray_datagrams import MAX_DEPTH, is_invented, split
from fluoro_collector.decode.xray import decode

TRACE = bytes(range(16))
RESOURCE = Resource("shop", "1.2", attributes={"process.runtime.name": "CPython"})
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["x" * 900, "é" * 600, "\0" * 300]
)
some = texts.filter(bool)
scalars = texts | st.integers() | st.booleans() | st.floats()
bags = st.dictionaries(some, scalars, max_size=4)
exceptions = st.builds(
    ExceptionRecord,
    id=st.just("a" * 16),
    type=texts,
    message=texts,
    stack=st.lists(st.builds(Frame, texts, st.integers(0, 99), texts), max_size=5),
)


@st.composite
def trees(draw: st.DrawFn) -> list[Segment]:
    """Segments with ids 1…n; each may hang under any other, under nobody, or under a stranger."""
    count = draw(st.integers(1, 12))
    return [
        Segment(
            TRACE,
            number,
            draw(st.sampled_from([0, 99]) | st.integers(1, count)),
            draw(some),
            1_000_000_000 + number * 1_000,
            2_000_000_000,
            kind=draw(st.sampled_from(Kind)),
            subsegment=draw(st.booleans()),
            namespace=draw(st.sampled_from(["", "aws", "remote"])),
            operation=draw(texts),
            http=draw(st.none() | st.builds(Http, texts, texts, user_agent=texts)),
            sql=draw(st.none() | st.builds(Sql, query=texts)),
            aws=draw(st.none() | bags),
            cause=draw(
                st.none() | st.builds(Cause, st.lists(exceptions, max_size=3), paths=st.lists(texts, max_size=3))
            ),
            annotations=draw(st.none() | bags),
            metadata=draw(st.none() | st.dictionaries(some, bags, max_size=2)),
            links=draw(st.none() | st.lists(st.builds(Link, st.just(TRACE), st.just(5), bags), max_size=2)),
            user=draw(texts),
            resource_arn=draw(texts),
        )
        for number in range(1, count + 1)
    ]


@settings(max_examples=40, deadline=None)
@given(trees(), st.integers(2_000, 12_000))
def test_any_segments_become_documents_that_fit_and_read_back_to_the_same_ids(segments, limit):
    found = split(RESOURCE, segments, limit)
    assert found.lost == 0
    assert sum(document.own for document in found.documents) == len(segments)
    assert all(len(document.body) <= limit for document in found.documents)
    decoded = decode([document.body for document in found.documents])
    assert decoded.rejections == []
    read = [segment for _, batch in decoded.batches for segment in batch]
    ours = [segment for segment in read if segment.id <= 25]
    assert sorted(segment.id for segment in ours) == [segment.id for segment in segments]
    assert all(is_invented(segment) or segment.id <= 25 or segment.metadata is None for segment in read)
    before = {segment.id: segment for segment in segments}
    for segment in ours:
        same = before[segment.id]
        assert segment.start == same.start
        assert segment.subsegment or not same.subsegment or not same.parent_id
        if same.parent_id:
            assert segment.parent_id == same.parent_id


def chain(length: int) -> list[Segment]:
    return [
        Segment(TRACE, number, number - 1, f"step {number}", 10**9, 10**9, subsegment=number > 1)
        for number in range(1, length + 1)
    ]


def test_a_request_is_one_document_with_its_subsegments_nested():
    entry = Segment(TRACE, 1, 77, "shop", 1_000_000_000, 3_000_000_000, Kind.SERVER, operation="GET /orders/{id}")
    call = Segment(TRACE, 2, 1, "S3", 1_500_000_000, 2_000_000_000, subsegment=True, namespace="aws")
    inner = Segment(TRACE, 3, 2, "sign", 1_500_000_000, 2_000_000_000, subsegment=True)
    [document] = split(RESOURCE, [inner, call, entry]).documents
    assert json.loads(document.body) == {
        "id": "0000000000000001",
        "name": "shop",
        "start_time": 1.0,
        "end_time": 3.0,
        "trace_id": "1-00010203-0405060708090a0b0c0d0e0f",
        "parent_id": "000000000000004d",
        "service": {"version": "1.2", "runtime": "CPython"},
        "metadata": {"fluoro": {"operation": "GET /orders/{id}"}},
        "subsegments": [
            {
                "id": "0000000000000002",
                "name": "S3",
                "start_time": 1.5,
                "end_time": 2.0,
                "namespace": "aws",
                "subsegments": [{"id": "0000000000000003", "name": "sign", "start_time": 1.5, "end_time": 2.0}],
            }
        ],
    }
    assert document.own == 3


def test_the_largest_subtree_leaves_first_and_says_where_it_belongs():
    entry = Segment(TRACE, 1, 0, "shop", 1, 2)
    small = Segment(TRACE, 2, 1, "small", 1, 2, subsegment=True)
    large = Segment(TRACE, 3, 1, "large", 1, 2, subsegment=True, metadata={"default": {"body": "x" * 1_700}})
    first, second = split(RESOURCE, [entry, small, large], 2_000).documents
    assert [child["name"] for child in json.loads(first.body)["subsegments"]] == ["small"]
    alone = json.loads(second.body)
    assert (alone["name"], alone["type"], alone["parent_id"]) == ("large", "subsegment", "0000000000000001")
    assert alone["trace_id"] == json.loads(first.body)["trace_id"]


def test_a_trace_deeper_than_parsers_go_is_cut_into_pieces():
    documents = split(RESOURCE, chain(2_000)).documents
    assert sum(document.own for document in documents) == 2_000
    assert len(documents) >= 2_000 // MAX_DEPTH
    assert decode([document.body for document in documents]).rejections == []


def test_a_circle_of_parents_is_cut_open():
    circle = [Segment(TRACE, number, number % 3 + 1, "x", 1, 2, subsegment=True) for number in (1, 2, 3)]
    below = Segment(TRACE, 4, 1, "x", 1, 2, subsegment=True)
    documents = split(RESOURCE, [*circle, below]).documents
    assert sum(document.own for document in documents) == 4


def test_a_call_outside_of_any_request_gets_a_segment_of_the_service_around_it():
    call = Segment(TRACE, 2, 0, "payment:8003", 1, 2, Kind.CLIENT, subsegment=True, namespace="remote", fault=True)
    [document] = split(RESOURCE, [call]).documents
    read = json.loads(document.body)
    assert (read["name"], read["fault"], read["metadata"]) == ("shop", True, {"fluoro": {"invented": True}})
    assert [child["name"] for child in read["subsegments"]] == ["payment:8003"]
    assert document.own == 1
    again = split(RESOURCE, document.segments)
    assert [each.own for each in again.documents] == [1]
    assert call.parent_id == 0


def trimmed(segment: Segment) -> list[str]:
    found = split(RESOURCE, [segment], 2_000)
    assert found.trimmed == 1
    return json.loads(found.documents[0].body)["metadata"]["fluoro"]["trimmed"]


def test_what_is_too_large_goes_in_the_stated_order():
    stack = Cause([ExceptionRecord("a" * 16, "ValueError", "no", stack=[Frame("/app.py", 1, "f")] * 200)])
    assert trimmed(Segment(TRACE, 1, 0, "a", 1, 2, metadata={"default": {"big": "x" * 3_000}}, cause=stack)) == [
        "metadata",
        "stack",
    ]
    links = [Link(TRACE, 5)] * 40
    assert trimmed(Segment(TRACE, 1, 0, "a", 1, 2, links=links)) == ["metadata", "stack", "links"]
    query = Sql(query="SELECT " + "x" * 3_000)
    assert trimmed(Segment(TRACE, 1, 0, "a", 1, 2, sql=query))[-1] == "texts"
    assert trimmed(Segment(TRACE, 1, 0, "a", 1, 2, aws={str(i): "x" * 50 for i in range(60)}))[-1] == "exceptions"
    annotations: dict[str, str | int | float | bool] = {str(i): "x" * 50 for i in range(60)}
    assert trimmed(Segment(TRACE, 1, 0, "a", 1, 2, annotations=annotations))[-1] == "annotations"


def test_names_keys_and_lengths_are_brought_to_what_xray_accepts():
    segment = Segment(
        TRACE, 1, 0, "sh*op(1)" + "x" * 300, 1, 2, annotations={"a b": 1, "c.d": "y" * 2_000}, user="u" * 300
    )
    segment.http = Http("GET", "http://h/" + "p" * 500)
    read = json.loads(split(RESOURCE, [segment]).documents[0].body)
    assert read["name"] == ("sh_op_1_" + "x" * 300)[:200]
    assert read["annotations"] == {"a_b": 1, "c.d": "y" * 1_000}
    assert (len(read["user"]), len(read["http"]["request"]["url"])) == (250, 250)


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_values_without_a_json_form_cost_only_themselves():
    loop: dict[str, object] = {}
    loop["self"] = loop
    segment = Segment(
        TRACE, 1, 0, "a", 1, 2, metadata={"default": {"loop": loop, "big": 1 << 80, "odd": "\ud800", "h": Hostile()}}
    )
    found = split(RESOURCE, [segment])
    assert found.lost == 0
    assert json.loads(found.documents[0].body)["metadata"]["default"]["big"] == str(1 << 80)
