"""Segments → X-Ray documents → the same segments."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fluoro.model import Cause, ExceptionRecord, Frame, Http, Kind, Link, Resource, Segment, Sql
from fluoro.xray_document import to_document
from fluoro_collector.decode.xray import decode

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
some = words.filter(bool)
ids = st.integers(1, (1 << 64) - 1)
hex_ids = ids.map(lambda number: f"{number:016x}")
times = st.integers(1, 4_000_000_000_000_000).map(lambda microseconds: microseconds * 1_000)
scalars = (
    words | st.integers(-(1 << 63), (1 << 63) - 1) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
)
json_values = st.recursive(
    scalars | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
frames = st.builds(Frame, words, st.integers(0, 9_999), words)
exceptions = st.builds(
    ExceptionRecord,
    id=hex_ids,
    type=words,
    message=words,
    remote=st.booleans(),
    stack=st.lists(frames, max_size=3),
    cause=st.just("") | hex_ids,
    truncated=st.integers(0, 99),
    skipped=st.integers(0, 9),
)
causes = st.builds(Cause, ref=hex_ids) | st.builds(
    Cause,
    exceptions=st.lists(exceptions, min_size=1, max_size=3),
    working_directory=words,
    paths=st.lists(words, max_size=2),
)
https = st.builds(
    Http,
    method=some,
    url=words,
    status=st.sampled_from([0, 200, 302]),
    content_length=st.integers(-1, 1 << 40),
    user_agent=words,
    client_ip=words,
    x_forwarded_for=st.booleans(),
)
links = st.lists(
    st.builds(
        Link,
        st.binary(min_size=16, max_size=16).filter(any),
        ids,
        st.none() | st.dictionaries(words, json_values, min_size=1, max_size=2),
    ),
    min_size=1,
    max_size=2,
)
sqls = st.builds(Sql, words, words, words, words, words, words, words, words)


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    """What an X-Ray document can carry: no kind of its own, no operation, no events, microseconds."""
    subsegment = draw(st.booleans())
    namespace = draw(st.sampled_from(["", "aws", "remote"])) if subsegment else ""
    in_progress = draw(st.booleans())
    return Segment(
        trace_id=draw(st.binary(min_size=16, max_size=16).filter(any)),
        id=draw(ids),
        parent_id=draw(st.just(0) | ids),
        name=draw(some),
        start=draw(times),
        end=0 if in_progress else draw(times),
        kind=Kind.CLIENT if namespace else Kind.INTERNAL if subsegment else Kind.SERVER,
        subsegment=subsegment,
        namespace=namespace,
        error=draw(st.booleans()),
        throttle=draw(st.booleans()),
        fault=draw(st.booleans()),
        http=draw(st.none() | https),
        aws=draw(st.none() | st.dictionaries(some, scalars, min_size=1, max_size=3)),
        sql=draw(st.none() | sqls) if subsegment else None,
        cause=draw(st.none() | causes),
        annotations=draw(st.none() | st.dictionaries(words, scalars, min_size=1, max_size=3)),
        metadata=draw(
            st.none() | st.dictionaries(words, st.dictionaries(words, json_values, max_size=2), min_size=1, max_size=2)
        ),
        links=draw(st.none() | links),
        origin="" if subsegment else draw(st.sampled_from(["", "AWS::Lambda::Function"])),
        user="" if subsegment else draw(words),
        resource_arn=draw(words),
        in_progress=in_progress,
        traced=draw(st.booleans()),
        precursor_ids=draw(st.none() | st.lists(ids, min_size=1, max_size=2)) if subsegment else None,
    )


def read(document: dict[str, Any]) -> Segment:
    decoded = decode([json.dumps(document)])
    assert decoded.rejections == []
    [(_, [segment])] = decoded.batches
    segment.operation = ""  # derived when read
    return segment


@given(segments())
def test_what_xray_can_carry_survives(segment: Segment):
    assert read(to_document(segment, Resource())) == segment


def test_a_tree_is_nested_as_aws_returns_it():
    trace = bytes(range(16))
    root = Segment(
        trace, 1, 0, "shop", 1_700_000_000_123_456_789, 1_700_000_001_000_000_000, origin="AWS::EC2::Instance"
    )
    call = Segment(trace, 2, 1, "S3", 1_700_000_000_200_000_000, 0, subsegment=True, namespace="aws", in_progress=True)
    resource = Resource(
        "shop", "1.2", attributes={"host.id": "i-1", "telemetry.sdk.name": "fluoro", "process.runtime.name": "CPython"}
    )
    document = to_document(root, resource, [to_document(call, resource, nested=True)])
    assert document == {
        "id": "0000000000000001",
        "name": "shop",
        "trace_id": "1-00010203-0405060708090a0b0c0d0e0f",
        "start_time": 1_700_000_000.123456,
        "end_time": 1_700_000_001.0,
        "origin": "AWS::EC2::Instance",
        "service": {"version": "1.2", "runtime": "CPython"},
        "aws": {"ec2": {"instance_id": "i-1"}, "xray": {"sdk": "fluoro"}},
        "subsegments": [
            {
                "id": "0000000000000002",
                "name": "S3",
                "start_time": 1_700_000_000.2,
                "in_progress": True,
                "namespace": "aws",
            }
        ],
    }


def test_a_lone_subsegment_says_so():
    call = Segment(bytes(range(16)), 2, 1, "S3", 1_000, 2_000, subsegment=True, namespace="aws")
    document = to_document(call, Resource("shop", "1.2"))
    assert (document["type"], document["parent_id"]) == ("subsegment", "0000000000000001")
    assert "service" not in document
