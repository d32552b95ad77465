"""One table: operation of the service model → the function that answers it. Each family is a module."""

from __future__ import annotations

from . import (
    encryption,
    groups,
    indexing,
    insights,
    policies,
    retrieval,
    sampling,
    service_graph,
    tags,
    telemetry,
    traces,
)
from .shared import Operation

FAMILIES = (
    traces,
    service_graph,
    sampling,
    groups,
    insights,
    encryption,
    policies,
    tags,
    indexing,
    retrieval,
    telemetry,
)
OPERATIONS: dict[str, Operation] = {
    name: function for family in FAMILIES for name, function in family.OPERATIONS.items()
}
