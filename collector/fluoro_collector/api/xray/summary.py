"""Trace summaries in X-Ray's shape: GetTraceSummaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from fluoro_collector.query.ids import format_trace_id
from fluoro_collector.query.search.trace_facts import Service, TraceFacts
from fluoro_collector.query.trace.root_cause import Cause, CauseService, Entity, RootCauses

from .graph import service_id

_SECOND = 1_000_000_000
_NO_FACTS = TraceFacts()
_NO_CAUSES = RootCauses()


def trace_summary(
    row: Mapping[str, Any],
    facts: TraceFacts = _NO_FACTS,
    causes: RootCauses = _NO_CAUSES,
    matched: Optional[float] = None,
) -> dict[str, Any]:
    """`TraceSummary` from a row of the relation `traces`, with its nodes and edges if it has them.

    `began` is epoch ns; every number of the row is the root's but for `lasted`, `any_throttle`, `partial`, `segments`.
    `matched`: epoch seconds at which the trace was active in the window that was searched, for searches by event. Lists
    without members are there, as X-Ray answers them.
    """
    root = _service(row["service"], row["origin"], facts)
    return {
        "Id": format_trace_id(row["trace_id"]),
        "StartTime": row["began"] / _SECOND,
        "Duration": row["lasted"] / _SECOND,
        "ResponseTime": row["response_time"] / _SECOND,
        "HasFault": bool(row["fault"]),
        "HasError": bool(row["error"]),
        "HasThrottle": bool(row["any_throttle"]),
        "IsPartial": bool(row["partial"]),
        "Http": _http(row),
        "Annotations": {
            key: [
                {"AnnotationValue": _VALUES[kind](value), "ServiceIds": _ids(who)}
                for (kind, value), who in values.items()
            ]
            for key, values in facts.annotations.items()
        },
        "Users": [{"UserName": user, "ServiceIds": _ids(who)} for user, who in facts.users.items()],
        "ServiceIds": [_service(name, kind, facts) for name, kind in _nodes(row)],
        "ResourceARNs": [{"ARN": arn} for arn in facts.arns],
        "InstanceIds": [{"Id": instance} for instance in facts.instances],
        "AvailabilityZones": [{"Name": zone} for zone in facts.zones],
        "EntryPoint": root,
        "FaultRootCauses": [_cause(cause, _failing) for cause in causes.fault],
        "ErrorRootCauses": [_cause(cause, _failing) for cause in causes.error],
        "ResponseTimeRootCauses": [_cause(cause, _slow) for cause in causes.response_time],
        "Revision": row["segments"],
        **({} if matched is None else {"MatchedEventTime": matched}),
    }


def _http(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "HttpURL": row["http_url"],
        "HttpStatus": row["http_status"],
        "HttpMethod": row["http_method"],
        "UserAgent": row["http_user_agent"],
        "ClientIp": row["http_client_ip"],
    }
    return {key: value for key, value in found.items() if value}


def _nodes(row: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Every node of the trace's map, clients first. A row without edges has the client of its root."""
    nodes = [(name, kind) for name, kind, _ in row["nodes"]]
    ends = [end for edge in row["edges"] for end in ((edge[0], edge[1]), (edge[2], edge[3]))]
    if not ends and row["service"]:
        ends = [(row["service"], "client")]
    clients = [end for end in ends if end[1] == "client"]
    return dict.fromkeys((*clients, *nodes, *ends))


def _service(name: str, kind: str, facts: TraceFacts) -> dict[str, Any]:
    return _with_account(service_id(name, kind), facts.accounts.get((name, kind), ""))


def _ids(services: Iterable[Service]) -> list[dict[str, Any]]:
    return [_with_account(service_id(each.name, each.type), each.account) for each in services if each.name]


def _with_account(service: dict[str, Any], account: str) -> dict[str, Any]:
    return {**service, "AccountId": account} if account else service


_VALUES: dict[str, Any] = {
    "str": lambda value: {"StringValue": value},
    "float": lambda value: {"NumberValue": value},
    "bool": lambda value: {"BooleanValue": value},
}


def _cause(cause: Cause, entity: Any) -> dict[str, Any]:
    return {
        "ClientImpacting": cause.client_impacting,
        "Services": [_cause_service(service, entity) for service in cause.services],
    }


def _cause_service(service: CauseService, entity: Any) -> dict[str, Any]:
    return {
        **_with_account(service_id(service.name, service.type), service.account),
        "EntityPath": [entity(each) for each in service.entities],
        "Inferred": service.inferred,
    }


def _failing(entity: Entity) -> dict[str, Any]:
    exceptions = [{"Name": name, "Message": message} for name, message in entity.exceptions]
    return {"Name": entity.name, "Exceptions": exceptions, "Remote": entity.remote}


def _slow(entity: Entity) -> dict[str, Any]:
    return {"Name": entity.name, "Coverage": entity.coverage, "Remote": entity.remote}
