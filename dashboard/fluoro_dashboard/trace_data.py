"""One trace of the API as the waterfall wants it, and one segment as the inspector wants it. Pure."""

from __future__ import annotations

import json
from typing import Any

from fluoro_dashboard import format as fmt
from fluoro_dashboard.critical_path import critical_path

Json = dict[str, Any]
OUTCOMES = ("ok", "error", "throttle", "fault")


def columns(trace: Json) -> Json:
    """Input of `frontend/waterfall.js`: the segments column by column in depth-first order, seconds rounded to microseconds.
    A quarter of the size of a list of records.
    """
    segments = trace["segments"]
    parents = [segment["parent"] for segment in segments]
    starts = [float(segment["start"]) for segment in segments]
    durations = [max(0.0, float(segment["duration"])) for segment in segments]
    services = sorted({segment["service"] or segment["name"] for segment in segments})
    number = {name: index for index, name in enumerate(services)}
    return {
        "trace": trace["id"],
        "services": services,
        "id": [segment["id"] for segment in segments],
        "parent": parents,
        "depth": [segment["depth"] for segment in segments],
        "service": [number[segment["service"] or segment["name"]] for segment in segments],
        "name": [segment["name"] for segment in segments],
        "operation": [segment["operation"] if segment["operation"] != segment["name"] else "" for segment in segments],
        "call": [1 if segment["namespace"] else 0 for segment in segments],
        "start": [round(value, 6) for value in starts],
        "duration": [round(value, 6) for value in durations],
        "outcome": [
            OUTCOMES.index(segment["outcome"]) if segment["outcome"] in OUTCOMES else 0 for segment in segments
        ],
        "progress": [index for index, segment in enumerate(segments) if segment["in_progress"]],
        "critical": {
            index: [[round(low, 6), round(high, 6)] for low, high in intervals]
            for index, intervals in enumerate(critical_path(parents, starts, durations))
            if intervals
        },
    }


def outcome(trace: Json) -> str:
    """How the trace ended for its caller: the outcome of its first root."""
    roots = [segment for segment in trace["segments"] if segment["parent"] < 0]
    return str(roots[0]["outcome"]) if roots else "ok"


def title(segment: Json) -> str:
    """`GET /orders` for a request, the segment's own name for the rest."""
    return str(segment["operation"] or segment["name"])


def kind(segment: Json) -> str:
    """`server segment`, `AWS call`, `SQL call`, `remote call`, `subsegment`."""
    if segment["type"] == "segment":
        word = str(segment.get("kind") or "").lower()
        return f"{word} segment" if word and word != "internal" else "segment"
    if segment.get("sql"):
        return "SQL call"
    return {"aws": "AWS call", "remote": "remote call"}.get(segment["namespace"], "subsegment")


def inspector(trace: Json, index: int) -> Json:
    """Everything known of one segment, as tabs of sections for `frontend/inspector.js`. Empty tabs are left out."""
    segment = trace["segments"][index]
    tabs = [
        ("Overview", _overview(trace, segment)),
        ("HTTP", _rows(segment.get("http"))),
        ("AWS", _rows(segment.get("aws"))),
        ("SQL", _sql(segment.get("sql"))),
        ("Annotations", _rows(segment.get("annotations"))),
        ("Metadata", _metadata(segment.get("metadata"))),
        ("Exceptions", _exceptions(segment)),
        ("Events", _events(segment)),
        ("Resource", _rows(segment.get("resource"))),
        ("Raw", [{"kind": "code", "text": json.dumps(segment, indent=2, ensure_ascii=False, sort_keys=False)}]),
    ]
    return {
        "key": segment["id"],
        "title": title(segment),
        "subtitle": f"{segment['service'] or segment['name']} · {kind(segment)}",
        "outcome": segment["outcome"],
        "tabs": [{"name": name, "sections": sections} for name, sections in tabs if sections],
    }


def _overview(trace: Json, segment: Json) -> list[Json]:
    total = float(trace["duration"]) or 1.0
    duration = float(segment["duration"])
    tiles = [
        {"label": "Duration", "value": "in progress" if segment["in_progress"] else fmt.duration(duration)},
        {"label": "Starts at", "value": f"+{fmt.duration(float(segment['start']))}"},
        {"label": "Of the trace", "value": fmt.percent(min(1.0, duration / total))},
    ]
    peer = segment.get("peer") or {}
    resource = segment.get("resource") or {}
    rows: list[list[str]] = [
        ["Name", str(segment["name"])],
        ["Operation", str(segment["operation"] or "")],
        ["Service", str(segment["service"] or "")],
        ["Version", str(resource.get("service_version") or "")],
        ["Environment", str(resource.get("environment") or "")],
        ["Calls", f"{peer['name']} ({peer['type'] or 'service'})" if peer.get("name") else ""],
        ["Origin", str(segment.get("origin") or "")],
        ["User", str(segment.get("user") or "")],
        ["Segment id", str(segment["id"])],
    ]
    sections: list[Json] = [
        {"kind": "tiles", "tiles": tiles},
        {"kind": "table", "rows": [row for row in rows if row[1]]},
    ]
    exceptions = _exceptions(segment)
    return sections + exceptions[:1]


def _rows(value: Any) -> list[Json]:
    rows = [[name, text] for name, text in _flat(value) if text != ""]
    return [{"kind": "table", "rows": rows}] if rows else []


def _sql(value: Any) -> list[Json]:
    if not value:
        return []
    query = str(value.get("query") or value.get("sanitized_query") or "")
    rest = {name: item for name, item in value.items() if name not in ("query", "sanitized_query")}
    return ([{"kind": "code", "text": query}] if query else []) + _rows(rest)


def _metadata(value: Any) -> list[Json]:
    if not value:
        return []
    return [{"kind": "code", "text": json.dumps(value, indent=2, ensure_ascii=False)}]


def _exceptions(segment: Json) -> list[Json]:
    cause = segment.get("cause")
    if not cause:
        return []
    if isinstance(cause, str):
        return [
            {
                "kind": "exception",
                "type": "Caused elsewhere",
                "message": f"exception {cause}",
                "remote": False,
                "stack": [],
            }
        ]
    sections: list[Json] = []
    exceptions = cause.get("exceptions") if isinstance(cause, dict) else cause
    for exception in exceptions or []:
        frames = [_frame(frame) for frame in exception.get("stack") or []]
        sections.append(
            {
                "kind": "exception",
                "type": str(exception.get("type") or "Exception"),
                "message": str(exception.get("message") or ""),
                "remote": bool(exception.get("remote")),
                "stack": frames,
            }
        )
    return sections


def _frame(frame: Any) -> str:
    if not isinstance(frame, dict):
        return str(frame)
    place = f"{frame.get('path') or '?'}:{frame.get('line') or 0}"
    return f"{place}  {frame.get('label') or ''}".rstrip()


def _events(segment: Json) -> list[Json]:
    sections: list[Json] = []
    for event in segment.get("events") or []:
        rows = [[name, text] for name, text in _flat(event)]
        sections.append({"kind": "table", "rows": rows})
    sections.extend(
        {"kind": "table", "rows": [["link", json.dumps(link, ensure_ascii=False)]]}
        for link in segment.get("links") or []
    )
    return sections


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as dotted names; lists and other values as JSON."""
    if not value:
        return []
    if not isinstance(value, dict):
        return [(prefix or "value", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]
    rows: list[tuple[str, str]] = []
    for name, item in value.items():
        path = f"{prefix}.{name}" if prefix else str(name)
        if isinstance(item, dict):
            rows.extend(_flat(item, path))
        elif isinstance(item, str):
            rows.append((path, item))
        elif item is not None:
            rows.append((path, json.dumps(item, ensure_ascii=False)))
    return rows
