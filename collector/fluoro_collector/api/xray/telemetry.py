"""PutTelemetryRecords: what daemons say of the segments that went through them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .shared import Body, Operation, Shared

_SEGMENTS = {
    "SegmentsReceivedCount": "received",
    "SegmentsSentCount": "sent",
    "SegmentsSpilloverCount": "spillover",
    "SegmentsRejectedCount": "rejected",
}


def put_telemetry_records(shared: Shared, body: Body) -> Body:
    """Added up in the collector's counters; who reported is not kept."""
    segments: Counter[str] = Counter()
    errors = 0
    for record in body["TelemetryRecords"]:
        found: dict[str, Any] = record
        for member, name in _SEGMENTS.items():
            segments[name] += max(found.get(member, 0), 0)
        errors += sum(max(count, 0) for count in found.get("BackendConnectionErrors", {}).values())
    shared.daemons_reported(segments, errors)
    return {}


OPERATIONS: dict[str, Operation] = {
    "PutTelemetryRecords": put_telemetry_records,
}
