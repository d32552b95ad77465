"""The service map in X-Ray's shape: GetServiceGraph, GetTraceGraph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fluoro_collector.query.graph.service_graph import Edge, Node, ServiceGraph
from fluoro_collector.query.graph.statistics import Figures, Statistics
from fluoro_collector.store.histogram import points


def services(graph: ServiceGraph) -> list[dict[str, Any]]:
    """`Services`. A ReferenceId holds within one answer. A client has no statistics but those on its edge."""
    numbers = {node.id: number for number, node in enumerate(graph.nodes)}
    outgoing: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        outgoing.setdefault(edge.source, []).append(edge)
    times = {"StartTime": graph.start, "EndTime": graph.end}
    return [
        {
            "ReferenceId": numbers[node.id],
            **service_id(node.name, node.type),
            **({"Root": True} if node.root else {}),
            "State": "unknown" if node.inferred or node.type == "client" else "active",
            **times,
            "Edges": [_edge(edge, numbers[edge.target], times) for edge in outgoing.get(node.id, ())],
            **_node_figures(node),
        }
        for node in graph.nodes
    ]


def service_id(name: str, kind: str) -> dict[str, Any]:
    """Name, Names and Type, which is left out when there is none."""
    return {"Name": name, "Names": [name], **({"Type": kind} if kind else {})}


def _node_figures(node: Node) -> dict[str, Any]:
    if not node.total:
        return {}
    shown = histogram(node.histogram)
    return {
        "SummaryStatistics": statistics(node, node.total_time),
        "DurationHistogram": shown,
        "ResponseTimeHistogram": shown,
    }


def _edge(edge: Edge, target: int, times: dict[str, float]) -> dict[str, Any]:
    link = edge.kind == "link"
    return {
        "ReferenceId": target,
        **times,
        "SummaryStatistics": statistics(edge, edge.total_time),
        "ResponseTimeHistogram": [] if link else histogram(edge.histogram),
        "Aliases": [],
        **({"EdgeType": "link", "ReceivedEventAgeHistogram": []} if link else {}),
    }


def moment(time: int, sums: Statistics, *, edge: bool) -> dict[str, Any]:
    """One of `TimeSeriesServiceStatistics`: `time` is the start of the period in epoch seconds."""
    return {
        "Timestamp": float(time),
        "EdgeSummaryStatistics" if edge else "ServiceSummaryStatistics": statistics(sums, sums.total_time / 1e9),
        "ResponseTimeHistogram": histogram(points(sums.histogram)),
    }


def statistics(figures: Figures | Statistics, total_time: float) -> dict[str, Any]:
    """`SummaryStatistics`; `total_time` in seconds."""
    return {
        "OkCount": figures.ok,
        "ErrorStatistics": {
            "ThrottleCount": figures.throttle,
            "OtherCount": figures.error,
            "TotalCount": figures.throttle + figures.error,
        },
        "FaultStatistics": {"OtherCount": figures.fault, "TotalCount": figures.fault},
        "TotalCount": figures.total,
        "TotalResponseTime": total_time,
    }


def histogram(points: Sequence[tuple[float, int]]) -> list[dict[str, Any]]:
    """Seconds rounded to 1 ms, as X-Ray does; counts that fall together are added."""
    merged: dict[float, int] = {}
    for seconds, count in points:
        value = round(seconds, 3)
        merged[value] = merged.get(value, 0) + count
    return [{"Value": value, "Count": count} for value, count in merged.items()]
