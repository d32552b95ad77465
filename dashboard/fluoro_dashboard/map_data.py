"""The service graph of the API as the map component wants it, and the figures of its panel. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from fluoro_dashboard import format as fmt

Json = dict[str, Any]
OUTCOMES = ("ok", "error", "throttle", "fault")


class Covered(NamedTuple):
    """The part of a range that its rates are about. `note` says so in words when that is not the whole range."""

    seconds: float
    note: str


def covered(graph: Json, end: float) -> Covered:
    """From the first minute that has data, or the start of the range, to `end` (epoch seconds): a system that was started
    four minutes ago has not been idle for the other 56 of the hour. A minute at least.

    The graph's own end is that of its last minute, which may not be over: `end` is the one that was asked for.
    """
    start, last = float(graph["start"]), min(float(graph["end"]), float(end))
    since = graph.get("since")  # None: no data; absent: a collector that does not tell
    begin = start if since is None else max(start, float(since))
    seconds = max(60.0, last - begin)
    whole = begin - start < 60
    return Covered(seconds, "" if whole else f"Rates over the {fmt.duration(round(seconds / 60) * 60)} that have data.")


def payload(graph: Json, over: Covered, *, layout: str) -> Json:
    """Input of `frontend/service_map.js`: sorted, rounded and without the time of day, so that an unchanged map is the same bytes
    and is not sent again. `layout` names the question (its range): positions are kept while it stays the same.
    """
    seconds = over.seconds
    names = {node["id"]: title(node["name"], node["type"]) for node in graph["nodes"]}
    nodes = [
        {
            "id": node["id"],
            "name": full_name(node["name"], node["type"]),
            "short": names[node["id"]],
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
    return {"layout": layout, "note": over.note, "nodes": nodes, "edges": edges}


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


def title(name: str, type_: str) -> str:
    """What stands under a node. The collector gives the node of a service's callers the service's name."""
    return "Clients" if type_ == "client" else short_name(name, type_)


def full_name(name: str, type_: str) -> str:
    """The same with nothing left out, for tooltips, search and screen readers."""
    return f"Clients of {name}" if type_ == "client" else name


def average(item: Json) -> float | None:
    return item["total_time"] / item["total"] if item["total"] else None


def type_label(type_: str) -> str:
    """A node's type in words: `DynamoDB table`, `SQL database`, `service`."""
    known = {
        "": "service",
        "client": "callers from outside",
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
        "entries": len(entries),
        "total": sum(item["total"] for item in roots),
        "total_time": sum(item["total_time"] for item in roots),
        "services": sum(1 for node in graph["nodes"] if not node["inferred"] and node["type"] != "client"),
        "dependencies": sum(1 for node in graph["nodes"] if node["inferred"] and node["type"] != "client"),
        **totals,
    }


def ranking(graph: Json, over: Covered) -> list[Json]:
    """Rows of `frontend/ranking.js`: all nodes with traffic, those that fail most first, then the slow ones."""
    nodes = [node for node in graph["nodes"] if node["total"] and node["type"] != "client"]
    return [
        {
            "id": node["id"],
            "name": title(node["name"], node["type"]),
            "full": node["name"],
            "type": node["type"],
            "label": type_label(node["type"]),
            "fault": _round(node["fault"] / node["total"]),
            "p95": _round(node["p95"]),
            "rate": _round(node["total"] / over.seconds),
        }
        for node in sorted(nodes, key=lambda node: (-node["fault"] / node["total"], -(node["p95"] or 0.0), node["id"]))
    ]
