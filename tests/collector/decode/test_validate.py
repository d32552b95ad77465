from __future__ import annotations

from typing import Any

import pytest

from fluoro.model import Http, Resource, Segment
from fluoro_collector.decode.limits import MAX_SEGMENT_BYTES
from fluoro_collector.decode.validate import (
    DAY,
    MAX_ANNOTATIONS,
    MAX_NAME,
    MAX_TEXT,
    SECOND,
    check,
    check_resource,
    check_size,
)

NOW = 1_700_000_000 * SECOND


def segment(**fields: Any) -> Segment:
    return Segment(
        **({"trace_id": b"\x01" * 16, "id": 1, "parent_id": 0, "name": "n", "start": NOW, "end": NOW + 1} | fields)
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": (1 << 64) - 1, "parent_id": (1 << 64) - 2},
        {"start": NOW, "end": NOW - 5 * SECOND},
        {"end": 0, "in_progress": True},
        {"start": NOW - 29 * DAY, "end": NOW},
        {"start": NOW + DAY // 2, "end": NOW + DAY},
        {"name": "n" * MAX_NAME},
        {"http": Http(status=999)},
    ],
)
def test_accepted(fields: dict[str, Any]):
    assert check(segment(**fields), NOW) is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"trace_id": b"\x01" * 15}, "InvalidTraceId"),
        ({"trace_id": bytes(16)}, "InvalidTraceId"),
        ({"id": 0}, "MissingId"),
        ({"id": -1}, "MissingId"),
        ({"id": 1 << 64}, "MissingId"),
        ({"parent_id": -1}, "InvalidSegment"),
        ({"parent_id": 1 << 64}, "InvalidSegment"),
        ({"parent_id": 1}, "InvalidSegment"),
        ({"name": ""}, "MissingName"),
        ({"name": "n" * (MAX_NAME + 1)}, "InvalidName"),
        ({"start": NOW - 31 * DAY}, "InvalidTime"),
        ({"start": NOW + 2 * DAY}, "InvalidTime"),
        ({"start": 0}, "InvalidTime"),
        ({"end": 0}, "InvalidTime"),
        ({"end": -1}, "InvalidTime"),
        ({"end": NOW + 400 * DAY}, "InvalidTime"),
        ({"http": Http(status=70_000)}, "InvalidSegment"),
        ({"http": Http(status=-1)}, "InvalidSegment"),
        ({"annotations": {str(number): 1 for number in range(MAX_ANNOTATIONS + 1)}}, "InvalidSegment"),
    ],
)
def test_refused(fields: dict[str, Any], code: str):
    rejection = check(segment(**fields), NOW)
    assert rejection is not None
    assert rejection.code == code
    assert len(rejection.id) in (0, 16)


def test_the_window_can_be_set():
    old = segment(start=NOW - 400 * DAY, end=NOW - 400 * DAY)
    assert check(old, NOW) is not None
    assert check(old, NOW, max_age_ns=500 * DAY) is None


@pytest.mark.parametrize("field", ["operation", "origin", "namespace", "service", "user"])
def test_a_text_that_every_list_would_show(field: str):
    assert check_size(segment(**{field: "x" * MAX_TEXT})) is None
    rejection = check_size(segment(**{field: "x" * (MAX_TEXT + 1)}))
    assert rejection is not None
    assert rejection.code == "TooLarge"


def test_a_segment_as_a_whole():
    assert check_size(segment(metadata={"a": {"b": "x" * (MAX_SEGMENT_BYTES // 2)}})) is None
    assert check_size(segment(metadata={"a": {"b": "x" * MAX_SEGMENT_BYTES}})) is not None
    assert check_size(segment(http=Http(user_agent="x" * (MAX_TEXT + 1)))) is not None


def test_a_resource():
    assert check_resource(Resource("shop", attributes={"a": "b"})) == ""
    assert "bytes" in check_resource(Resource(attributes={"a": "x" * 100_000}))
    assert "characters" in check_resource(Resource(environment="x" * (MAX_TEXT + 1)))
