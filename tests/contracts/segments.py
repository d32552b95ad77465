"""Segments for tests of what stores and reads them: one with every field, and arbitrary ones."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st

from fluoro.model import (
    Cause,
    Event,
    ExceptionRecord,
    Frame,
    Http,
    Kind,
    Link,
    Resource,
    Segment,
    Sql,
)

START = 1_790_000_000_123_456_789

RESOURCE = Resource(
    service_name="shop",
    service_version="1.4.2",
    environment="prod",
    host="web-1",
    attributes={"telemetry.sdk.name": "fluoro", "process.pid": 4711, "tags": ["a", "b"], "canary": True},
)


def full_segment(**fields: Any) -> Segment:
    """A segment in which no field has its default."""
    values: dict[str, Any] = {
        "trace_id": (START // 10**9).to_bytes(4, "big") + bytes(range(12)),
        "id": 0xFFFF_FFFF_FFFF_FFFE,
        "parent_id": 0x8000_0000_0000_0001,
        "name": "DynamoDB",
        "start": START,
        "end": START + 1_234_567,
        "kind": Kind.CLIENT,
        "subsegment": True,
        "namespace": "aws",
        "operation": "PutItem",
        "error": True,
        "throttle": True,
        "fault": True,
        "http": Http(
            "POST", "https://dynamodb.eu-west-1.amazonaws.com/", 400, 0, "boto3/1.40", "10.0.0.9", True, "/{table}"
        ),
        "aws": {"operation": "PutItem", "table_name": "orders", "retries": 2, "nested": {"a": [1, None, 2.5]}},
        "sql": Sql(
            "PostgreSQL",
            "postgresql://db:5432/orders",
            "app",
            "SELECT * FROM o WHERE id = ?",
            "16",
            "3.2",
            "c",
            "statement",
        ),
        "cause": Cause(
            [
                ExceptionRecord(
                    "0" * 16, "ValueError", "bad 'value'\n", True, [Frame("/app/shop.py", 12, "pay")], "1" * 16, 3, 1
                )
            ],
            "",
            "/app",
            ["/app", "/lib"],
        ),
        "annotations": {
            "order": "A-1",
            "total": 12.5,
            "count": 3,
            "vip": True,
            "same": "true",
            "whole": 5.0,
            "big": (1 << 63) + 1,
        },
        "metadata": {"default": {"cart": [{"sku": "x", "n": 1}], "none": None}},
        "links": [Link(bytes(range(16)), 7, {"why": "queue"}), Link(b"\xff" * 16, 8)],
        "events": [Event("retry", START + 5, {"attempt": 2}), Event("gave up", START + 6)],
        "origin": "AWS::EC2::Instance",
        "user": "alice@example.com",
        "service": "payments",
        "resource_arn": "arn:aws:dynamodb:eu-west-1:1:table/orders",
        "traced": True,
        "precursor_ids": [1, 2],
        "trace_state": "vendor=x",
    }
    return Segment(**{**values, **fields})


# NUL, quotes, backslashes, line ends and characters beyond the BMP, but no lone surrogates: they are not text.
texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["true", "false", "null", "\\N", "'", "\\", "a\tb\n", "\0"]
)
ids = st.integers(0, (1 << 64) - 1)
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=6,
)
_objects = st.dictionaries(texts, _json, max_size=3)
annotations = st.dictionaries(
    texts,
    texts
    | st.booleans()
    | st.integers(-(1 << 64), 1 << 64)
    | st.floats(allow_nan=False)
    | st.sampled_from([1e15, 1e16, 1e17, 1 << 53]),
    max_size=4,
)
_words = st.text(string.ascii_letters + ":/-_.é", max_size=8)
_https = st.builds(
    Http, texts, texts, st.integers(0, 65535), st.integers(-1, (1 << 63) - 1), texts, texts, st.booleans(), texts
)
_exceptions = st.builds(
    ExceptionRecord,
    _words,
    texts,
    texts,
    st.booleans(),
    st.lists(st.builds(Frame, texts, st.integers(0, 1 << 31), texts), max_size=2),
)
segments = st.builds(
    Segment,
    trace_id=st.binary(min_size=16, max_size=16),
    id=ids,
    parent_id=ids,
    name=texts,
    start=st.integers(START - 86_400 * 10**9, START + 86_400 * 10**9),
    end=st.just(0) | st.integers(START - 86_400 * 10**9, START + 3 * 86_400 * 10**9),
    kind=st.sampled_from(Kind),
    subsegment=st.booleans(),
    namespace=st.sampled_from(["", "aws", "remote"]),
    operation=texts,
    error=st.booleans(),
    throttle=st.booleans(),
    fault=st.booleans(),
    http=st.none() | st.just(Http()) | _https,
    aws=st.none() | _objects,
    sql=st.none() | st.builds(Sql, *[texts] * 8),
    cause=st.none() | st.builds(Cause, st.lists(_exceptions, max_size=2), _words, texts, st.lists(texts, max_size=2)),
    annotations=st.none() | annotations,
    metadata=st.none() | st.dictionaries(texts, _objects, max_size=2),
    links=st.none()
    | st.lists(st.builds(Link, st.binary(min_size=16, max_size=16), ids, st.none() | _objects), max_size=2),
    events=st.none() | st.lists(st.builds(Event, texts, st.integers(0, 1 << 62), st.none() | _objects), max_size=2),
    origin=texts,
    user=texts,
    service=texts,
    resource_arn=texts,
    in_progress=st.booleans(),
    traced=st.booleans(),
    precursor_ids=st.none() | st.lists(ids, max_size=2),
    trace_state=texts,
)
