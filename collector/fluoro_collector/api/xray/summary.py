"""Trace summaries in X-Ray's shape: GetTraceSummaries."""

from __future__ import annotations

from typing import Any

from fluoro_collector.query.ids import format_trace_id
from fluoro_collector.query.traces import SECOND, Fact

from .graph import service_id


def trace_summary(row: dict[str, Any], facts: list[Fact]) -> dict[str, Any]:
    """`TraceSummary` from a row of `summaries.sql` and the trace's facts. Root causes are not computed: empty lists."""
    root = service_id(row["root_service"], row["root_origin"])
    nodes = [service_id(fact.name, fact.value) for fact in facts if fact.kind == "node"]
    client = [service_id(row["root_service"], "client")] if row["root_service"] else []
    return {
        "Id": format_trace_id(row["trace_id"]),
        "StartTime": row["began"] / SECOND,
        "Duration": row["lasted"] / SECOND,
        "ResponseTime": row["root_duration"] / SECOND,
        "HasFault": bool(row["root_fault"]),
        "HasError": bool(row["root_error"]),
        "HasThrottle": bool(row["any_throttle"]),
        "IsPartial": bool(row["partial"]),
        "Http": _http(row),
        "Annotations": _annotations(facts),
        "Users": _users(facts),
        "ServiceIds": client + nodes,
        "ResourceARNs": [],
        "InstanceIds": [],
        "AvailabilityZones": [],
        "EntryPoint": root,
        "FaultRootCauses": [],
        "ErrorRootCauses": [],
        "ResponseTimeRootCauses": [],
        "Revision": row["rows"],
    }


def _http(row: dict[str, Any]) -> dict[str, Any]:
    found = {
        "HttpURL": row["root_url"],
        "HttpStatus": row["root_status"],
        "HttpMethod": row["root_method"],
        "UserAgent": row["root_user_agent"],
        "ClientIp": row["root_client_ip"],
    }
    return {key: value for key, value in found.items() if value}


def _annotations(facts: list[Fact]) -> dict[str, list[dict[str, Any]]]:
    """{key: one entry per distinct value}, with the services that set it."""
    found: dict[str, dict[tuple[str, str], list[str]]] = {}
    for fact in facts:
        if fact.kind in ("text", "number"):
            found.setdefault(fact.name, {}).setdefault((fact.kind, fact.value), []).append(fact.service)
    return {
        key: [{"AnnotationValue": _value(*value), "ServiceIds": _services(names)} for value, names in values.items()]
        for key, values in found.items()
    }


def _value(kind: str, value: str) -> dict[str, Any]:
    if kind == "number":
        return {"NumberValue": float(value)}
    return {"BooleanValue": value == "true"} if value in ("true", "false") else {"StringValue": value}


def _users(facts: list[Fact]) -> list[dict[str, Any]]:
    found: dict[str, list[str]] = {}
    for fact in facts:
        if fact.kind == "user":
            found.setdefault(fact.name, []).append(fact.service)
    return [{"UserName": user, "ServiceIds": _services(names)} for user, names in found.items()]


def _services(names: list[str]) -> list[dict[str, Any]]:
    return [service_id(name, "") for name in names if name]
