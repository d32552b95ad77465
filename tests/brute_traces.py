"""The rows of the table `traces` computed the slow, obvious way."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from brute_graph import Expected
from fluoro.model import Resource, Segment

Rows = list[tuple[Resource, Segment]]


def expected_traces(rows: Rows) -> dict[bytes, dict[str, Any]]:
    """By trace id; times in epoch ns, durations in ns; nodes and edges as sets with their outcomes."""
    traces: dict[bytes, Rows] = defaultdict(list)
    for resource, segment in rows:
        traces[segment.trace_id].append((resource, segment))
    return {trace_id: _trace(each) for trace_id, each in traces.items()}


def _trace(rows: Rows) -> dict[str, Any]:
    graph = Expected(rows)
    members = list(graph.latest.values())
    segments = [segment for _, segment in members]
    ordered = sorted(
        members, key=lambda row: (row[1].parent_id != 0, bool(row[1].subsegment), row[1].start // 2, row[1].id)
    )
    resource, root = ordered[0]
    began = min(segment.start for segment in segments)
    by_start = sorted((segment.start, _service(*row)) for row in members for segment in [row[1]])
    return {
        "began": began,
        "minute": began // 60_000_000_000 * 60,
        "lasted": max(segment.start + _duration(segment) for segment in segments) - began,
        "service": _service(resource, root),
        "origin": root.origin,
        "environment": resource.environment,
        "response_time": _duration(root),
        "root_in_progress": root.in_progress,
        "error": root.error,
        "throttle": root.throttle,
        "fault": root.fault,
        "any_error": any(segment.error for segment in segments),
        "any_throttle": any(segment.throttle for segment in segments),
        "any_fault": any(segment.fault for segment in segments),
        "partial": any(segment.in_progress for segment in segments),
        "users": list(dict.fromkeys(segment.user for _, segment in ordered if segment.user)),
        "segments": len(segments),
        "services": list(dict.fromkeys(service for _, service in by_start if service)),
        "nodes": {(*key, mask) for key, mask in graph.outcomes.items() if isinstance(key[0], str)},
        "edges": {(*key[0], *key[1], mask) for key, mask in graph.outcomes.items() if not isinstance(key[0], str)},
    }


def _duration(segment: Segment) -> int:
    return 0 if segment.in_progress else max(segment.end - segment.start, 0)


def _service(resource: Resource, segment: Segment) -> str:
    return segment.name if not segment.subsegment else segment.service or resource.service_name
