"""OTLP requests as stock exporters write them, made with OpenTelemetry's own classes."""

from __future__ import annotations

import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def export_request(*numbers: int, service: str = "shop", trace_id: bytes | None = None) -> ExportTraceServiceRequest:
    """One SERVER span for each number, which is its span id; a `trace_id` that is not 16 bytes makes them invalid."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    attribute = resource_spans.resource.attributes.add(key="service.name")
    attribute.value.string_value = service
    scope_spans = resource_spans.scope_spans.add()
    now = time.time_ns()
    for number in numbers:
        span = scope_spans.spans.add(name="GET /", kind=2, start_time_unix_nano=now - 1_000_000, end_time_unix_nano=now)
        own = (now // 1_000_000_000).to_bytes(4, "big") + number.to_bytes(12, "big")
        span.trace_id = own if trace_id is None else trace_id
        span.span_id = number.to_bytes(8, "big")
    return request


def with_bad_span(*numbers: int) -> bytes:
    """As `export_request`, with one more span in front whose trace id has 5 bytes."""
    request = export_request(999, trace_id=b"short")
    request.MergeFrom(export_request(*numbers))
    return request.SerializeToString()
