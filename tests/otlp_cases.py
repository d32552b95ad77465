"""The golden OTLP cases as an exporter would send them, in both encodings."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE_ID = bytes.fromhex("6543210f000102030405060708090a0b")
SPAN_ID = bytes.fromhex("00000000000000a1")
PARENT_ID = bytes.fromhex("00000000000000a0")
START = 1_700_000_000_123_456_789
KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]


def json_request(case: dict[str, Any]) -> dict[str, Any]:
    """The request of one case, as OTLP's JSON."""
    span = case["span"]
    encoded: dict[str, Any] = {
        "traceId": TRACE_ID.hex(),
        "spanId": SPAN_ID.hex(),
        "name": span["name"],
        "kind": KINDS.index(span["kind"]),
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 5_000_000),
        "attributes": pairs(span.get("attributes", {})),
        "status": {
            "code": ["UNSET", "OK", "ERROR"].index(span.get("status", "UNSET")),
            "message": span.get("status_message", ""),
        },
        "events": [
            {"name": event["name"], "timeUnixNano": str(START + 1), "attributes": pairs(event["attributes"])}
            for event in span.get("events", ())
        ],
    }
    if span.get("parent"):
        encoded["parentSpanId"] = PARENT_ID.hex()
        encoded["flags"] = 0x300 if span.get("remote") else 0x100
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs(case.get("resource", {"service.name": "shop"}))},
                "scopeSpans": [{"scope": {"name": "lib", "version": "2"}, "spans": [encoded]}],
            }
        ]
    }


def json_bytes(case: dict[str, Any]) -> bytes:
    return json.dumps(json_request(case)).encode()


def protobuf_bytes(case: dict[str, Any]) -> bytes:
    request = json_request(case)
    for resource_spans in request["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                for key in ("traceId", "spanId", "parentSpanId"):
                    if key in span:
                        span[key] = _base64(span[key])
    return ParseDict(request, ExportTraceServiceRequest()).SerializeToString()


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    return {"stringValue": value}


def _base64(text: str) -> str:
    import base64

    return base64.b64encode(bytes.fromhex(text)).decode()
