"""A span made here becomes the same segment as one that arrives by OTLP: the golden files of the collector's decoder."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

import fluoro.otel.provider
from fluoro import testing
from fluoro.instrument import _patch
from fluoro.instrument._sql_text import statement
from golden_segments import IDENTITY, cases, told

# A span without a kind cannot be made here, and the resource belongs to the process.
CASES = [case for case in cases("otlp_*.json") if case["span"]["kind"] != "UNSPECIFIED" and "resource" not in case]
REMOTE = NonRecordingSpan(SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(1)))


@pytest.fixture
def otel(spans):
    """The service of the golden files has another name."""
    before = _patch.patched_count()
    fluoro.otel.provider.install()
    with testing.capture("shop") as captured:
        yield captured
    _patch.undo_since(before)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_the_segment_is_the_golden_one(case: dict[str, Any], otel, tracer):
    span = case["span"]
    if span.get("remote"):
        above, context = None, trace.set_span_in_context(REMOTE)
    else:
        above = tracer.start_span("above") if span.get("parent") else None
        context = trace.set_span_in_context(above) if above else None
    made = tracer.start_span(span["name"], context, SpanKind[span["kind"]])
    made.set_attributes(span["attributes"])
    if "status" in span:
        made.set_status(StatusCode[span["status"]], span.get("status_message"))
    for event in span.get("events", ()):
        made.add_event(event["name"], event["attributes"], timestamp=1_700_000_000_123_456_790)
    made.end()
    [segment] = otel.take()
    if above:
        above.end()
        otel.take()

    found, expected = told(segment, IDENTITY), case["segment"]
    if "query" in expected.get("sql", {}):  # the collector keeps what another SDK chose to send
        expected["sql"]["query"] = statement(expected["sql"]["query"], expected["sql"]["database_type"]).query
    assert found["metadata"].pop("otel") == {"scope.name": "lib", "scope.version": "2"}
    if not found["metadata"]:
        del found["metadata"]
    for record in [*_records(found), *_records(expected)]:
        assert len(record.pop("id")) == 16
    assert found == expected


def _records(segment: dict[str, Any]) -> list[dict[str, Any]]:
    return segment.get("cause", {}).get("exceptions", [])
