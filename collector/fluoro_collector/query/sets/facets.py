"""What traces are told apart by: the keys of `top_values` and `comparison`, and how a value is asked in a filter."""

from __future__ import annotations

from typing import Any

from fluoro_collector.query.filter import tree
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

ANNOTATION = "annotation."

# Key → the distinct values of a trace, Array(String), from its row in `traces`: what it has of the root, but for service
# and user, which any of its rows may have.
TRACE_VALUES = {
    "service": "CAST(services, 'Array(String)')",
    "operation": "[toString(operation)]",
    "environment": "[toString(environment)]",
    "http.method": "[toString(http_method)]",
    "http.status": "[if(http_status = 0, '', toString(http_status))]",
    "http.url": "[http_url]",
    "http.useragent": "[toString(http_user_agent)]",
    "http.clientip": "[http_client_ip]",
    "user": "users",
}
# Key → condition on a row of `segments` that it has a value, and the value. `version` names its service too.
ROW_VALUES = {
    "version": ("version != ''", "concat(service, ' ', version)"),
    "host": (
        "has({resource_ids:Array(UInt64)}, resource_id)",
        "transform(resource_id, {resource_ids:Array(UInt64)}, {hosts:Array(String)}, '')",
    ),
}
KEYS = (*TRACE_VALUES, *ROW_VALUES)


def filter_for(key: str, value: str, *, number: bool) -> str | None:
    """The filter expression for traces with this value; None where the filter language has no word for the key."""
    if key.startswith(ANNOTATION):
        return str(tree.Annotation(key.removeprefix(ANNOTATION), "=", float(value) if number else value))
    if key == "service":
        return str(tree.Service(tree.Identity(name=value)))
    if key == "http.status":
        return f"http.status = {int(value)}"
    return str(tree.Comparison(key, "=", value)) if key in _KEYWORDS else None


_KEYWORDS = frozenset({"http.method", "http.url", "http.useragent", "http.clientip", "user"})


def hosts(engine: Engine) -> dict[str, Any]:
    """The parameters `resource_ids` and `hosts`: which host each known resource is on. One that does not exist is among
    them, since an empty list has no type.
    """
    found = engine.query(statement("resource_hosts"))
    return {"resource_ids": [0, *found["id"]], "hosts": ["", *found["host"]]}
