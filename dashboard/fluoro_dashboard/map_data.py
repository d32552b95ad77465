"""The service graph of the API as the map component wants it, and the figures of its panel. Pure."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]
OUTCOMES = ("ok", "error", "throttle", "fault")


def payload(graph: Json, *, layout: str) -> Json:
    """Input of `assets/service_map.js`: sorted, rounded and without the time of day, so that an unchanged map is the same bytes
    and is not sent again. `layout` names the question (its range): positions are kept while it stays the same.
    """
    seconds = max(1.0, float(graph["end"]) - float(graph["start"]))
    names = {node["id"]: short_name(node["name"], node["type"]) for node in graph["nodes"]}
    nodes = [
        {
            "id": node["id"],
            "name": node["name"],
            "short": short_name(node["name"], node["type"]),
            "type": node["type"],
            "label": type_label(node["type"]),
            "inferred": bool(node["inferred"]),
            **_figures(node, seconds),
        }
        for node in sorted(graph["nodes"], key=lambda node: str(node["id"]))
    ]
    edges = [
        {
            "id": edge["id"],
            "source": edge["source"],
            "target": edge["target"],
            "from": names[edge["source"]],
            "to": names[edge["target"]],
            "link": edge["kind"] == "link",
            **_figures(edge, seconds),
        }
        for edge in sorted(graph["edges"], key=lambda edge: str(edge["id"]))
        if edge["source"] in names and edge["target"] in names
    ]
    return {"layout": layout, "nodes": nodes, "edges": edges}


def _figures(item: Json, seconds: float) -> Json:
    total = item["total"]
    return {
        "total": total,
        "rate": _round(total / seconds),
        "avg": _round(item["total_time"] / total) if total else None,
        "p50": _round(item["p50"]),
        "p95": _round(item["p95"]),
        "p99": _round(item["p99"]),
        "shares": [_round(item[outcome] / total) if total else 0 for outcome in OUTCOMES],
    }


def _round(value: float | None) -> float | None:
    """Four significant digits: more than anyone sees, and noise below it does not make a new message."""
    return None if value is None else float(f"{value:.4g}")


def short_name(name: str, type_: str) -> str:
    """What people call a resource: the last part of a queue's URL or of an ARN. Other names as they are."""
    if type_.startswith("AWS::"):
        if name.startswith("arn:"):
            return re.split(r"[:/]", name)[-1] or name
        if name.startswith(("https://", "http://")):
            return name.rstrip("/").rsplit("/", 1)[-1]
    return name


def average(item: Json) -> float | None:
    return item["total_time"] / item["total"] if item["total"] else None


def type_label(type_: str) -> str:
    """A node's type in words: `DynamoDB table`, `SQL database`, `service`."""
    known = {
        "": "service",
        "client": "client",
        "remote": "remote service",
        "Database::SQL": "SQL database",
        "AWS::DynamoDB::Table": "DynamoDB table",
        "AWS::SQS::Queue": "SQS queue",
        "AWS::SNS::Topic": "SNS topic",
        "AWS::S3::Bucket": "S3 bucket",
        "AWS::Lambda::Function": "Lambda function",
        "AWS::Lambda": "Lambda service",
    }
    if type_ in known:
        return known[type_]
    if type_.startswith("AWS::"):
        return " ".join(
            part if part.isupper() or index == 0 else part.lower() for index, part in enumerate(type_.split("::")[1:])
        )
    return type_


def overview(graph: Json) -> Json:
    """Totals over the whole map. A request counts once, where it enters: at the edges that leave the clients."""
    clients = {node["id"] for node in graph["nodes"] if node["type"] == "client"}
    entries = [edge for edge in graph["edges"] if edge["source"] in clients]
    roots = entries or [node for node in graph["nodes"] if node["root"]]
    totals = {outcome: sum(item[outcome] for item in roots) for outcome in OUTCOMES}
    return {
        "total": sum(item["total"] for item in roots),
        "total_time": sum(item["total_time"] for item in roots),
        "services": sum(1 for node in graph["nodes"] if not node["inferred"] and node["type"] != "client"),
        "dependencies": sum(1 for node in graph["nodes"] if node["inferred"] and node["type"] != "client"),
        **totals,
    }


def ranking(graph: Json) -> list[Json]:
    """All nodes with traffic, those that fail most first, then the slow ones."""
    nodes = [node for node in graph["nodes"] if node["total"] and node["type"] != "client"]
    return sorted(nodes, key=lambda node: (-node["fault"] / node["total"], -(node["p95"] or 0.0), node["id"]))
